# The papers' claims on what a preset measured: of all figures, or of those of a first look.
rule verdict:
    input:
        tables=files(inputs.verdict_tables),
        galleries=files(inputs.galleries),
    output:
        table="<results>/{preset}/verdict{quick}.csv",
        page=report(
            "<results>/{preset}/verdict{quick}.md",
            caption="../report/verdict.rst",
            category="{preset}",
        ),
        figure=report(
            "<results>/{preset}/verdict{quick}.png",
            caption="../report/verdict.rst",
            category="{preset}",
        ),
    log:
        "<results>/{preset}/logs/verdict{quick}.log",
    benchmark:
        "<results>/{preset}/benchmarks/verdict{quick}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        preset=preset_file,
        stand_in=ask(triggers.summary),
    shell:
        "python -m gud --log {log:q} verdict {params.preset:q} --out {output.table:q}"
        " --out {output.page:q} --out {output.figure:q} {input.tables:q} {input.galleries:q}"
