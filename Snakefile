include: "workflow/Snakefile"


rule all:
    default_target: True
    input:
        targets(config.get("preset", "paper")),


rule demo:
    input:
        targets("demo", "quick"),


rule demo_all:
    input:
        targets("demo"),
