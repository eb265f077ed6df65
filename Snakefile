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


rule demo_psld:
    input:
        targets("demo_psld", "quick"),


rule demo_psld_all:
    input:
        targets("demo_psld"),
