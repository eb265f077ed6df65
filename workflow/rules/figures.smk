rule table:
    input:
        nll=files(inputs.likelihoods),
        quality=files(inputs.qualities),
        scale=files(inputs.scales),
    output:
        report(
            "<results>/{preset}/tables/{figure}.csv",
            caption="../report/table.rst",
            category="{preset}",
            subcategory="Tables",
        ),
    log:
        "<results>/{preset}/logs/tables/{figure}.log",
    benchmark:
        "<results>/{preset}/benchmarks/tables/{figure}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        references=ask(triggers.references),
    shell:
        "python -m gud --log {log:q} table --out {output:q} {params.references} {input.nll:q}"
        " {input.quality:q} {input.scale:q}"


rule figure:
    input:
        files(inputs.sources),
    output:
        pdf="<results>/{preset}/figures/{figure}.pdf",
        png=report(
            "<results>/{preset}/figures/{figure}.png",
            caption="../report/figure.rst",
            category="{preset}",
            subcategory="Figures",
        ),
    log:
        "<results>/{preset}/logs/figures/{figure}.log",
    benchmark:
        "<results>/{preset}/benchmarks/figures/{figure}.tsv"
    wildcard_constraints:
        figure="|".join(
            name for name in FIGURES if issubclass(FIGURES[name], FigureSection)
        ),
    localrule: True
    conda:
        "../../environment.yml"
    params:
        preset=preset_file,
        settings=ask(triggers.figure),
        caption=ask(triggers.caption),
    shell:
        "python -m gud --log {log:q} figure {wildcards.figure} --preset {params.preset:q}"
        " --out {output.pdf:q} --out {output.png:q} {input:q}"


rule comparison:
    input:
        published=published_numbers,
        tables=files(inputs.all_tables),
    output:
        report(
            "<results>/{preset}/tables/comparison.csv",
            caption="../report/comparison.rst",
            category="{preset}",
            subcategory="Tables",
        ),
    log:
        "<results>/{preset}/logs/tables/comparison.log",
    benchmark:
        "<results>/{preset}/benchmarks/tables/comparison.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        "python -m gud --log {log:q} comparison --published {input.published:q} --out {output:q}"
        " {input.tables:q}"


rule summary:
    input:
        tables=files(inputs.tables),
        figures=files(inputs.figures),
    output:
        report(
            "<results>/{preset}/{summary}.md",
            caption="../report/summary.rst",
            category="{preset}",
        ),
    log:
        "<results>/{preset}/logs/{summary}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{summary}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        preset=preset_file,
        stand_in=ask(triggers.summary),
    shell:
        "python -m gud --log {log:q} summary --preset {params.preset:q} --out {output:q}"
        " {input.tables:q} {input.figures:q}"
