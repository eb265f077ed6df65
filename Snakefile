include: "workflow/Snakefile"


rule all:
    default_target: True
    input:
        preset_targets(config.get("preset", "paper")),


rule demo:
    input:
        preset_targets("demo", "quick"),


rule demo_all:
    input:
        preset_targets("demo"),
