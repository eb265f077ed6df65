rule table:
    input:
        nll=figure_nll,
        quality=figure_quality,
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
    shell:
        "python -m gud.tables --nll {input.nll:q} --quality {input.quality:q} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule figure:
    input:
        figure_source,
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
        figure="|".join(FIGURES),
    localrule: True
    conda:
        "../../environment.yml"
    params:
        settings=figure_settings,
    shell:
        "python -m gud.figures {wildcards.figure} --settings {params.settings:q}"
        " --source {input:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule comparison:
    input:
        published=published_numbers,
        tables=all_tables,
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
        "python -m gud.comparison --published {input.published:q} --tables {input.tables:q}"
        " --out {output:q} 2>&1 | tee -i {log:q}"


rule summary:
    input:
        tables=summary_tables,
        figures=summary_figures,
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
        stand_in=preset_stand_in,
    shell:
        "python -m gud.summary --tables {input.tables:q} --figures {input.figures:q}"
        " --stand-in {params.stand_in:q} --out {output:q} 2>&1 | tee -i {log:q}"
