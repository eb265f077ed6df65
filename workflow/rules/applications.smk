rule extend:
    input:
        model=files(inputs.model),
        data=files(inputs.data),
    output:
        "<results>/{preset}/{experiment}/strips/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/strips/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/strips/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("evaluate_minutes", grows=True),
    params:
        command="extend",
        preset=preset_file,
        settings=ask(triggers.strips),
    shell:
        "python -m gud --log {log:q} {params.command} --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --point {wildcards.point}"
        " --model {input.model:q} --data {input.data:q} --out {output:q}"


use rule extend as reconstruct with:
    output:
        "<results>/{preset}/{experiment}/reconstructions/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/reconstructions/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/reconstructions/{point}.tsv"
    params:
        command="reconstruct",
        preset=preset_file,
        settings=ask(triggers.reconstructions),


use rule extend as inpaint with:
    output:
        "<results>/{preset}/{experiment}/inpainted/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/inpainted/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/inpainted/{point}.tsv"
    params:
        command="inpaint",
        preset=preset_file,
        settings=ask(triggers.inpainted),


rule guide:
    input:
        model=files(inputs.model),
        guide="<results>/{preset}/{experiment}/classifiers/guide/model.safetensors",
        judge="<results>/{preset}/{experiment}/classifiers/judge/model.safetensors",
        data=files(inputs.data),
    output:
        samples="<results>/{preset}/{experiment}/guided/{point}.npz",
        shares=report(
            "<results>/{preset}/{experiment}/guided/{point}.csv",
            caption="../report/shares.rst",
            category="{preset}",
            subcategory="Tables",
        ),
    log:
        "<results>/{preset}/logs/{experiment}/guided/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/guided/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("evaluate_minutes", grows=True),
    params:
        preset=preset_file,
        settings=ask(triggers.guided),
    shell:
        "python -m gud --log {log:q} guide --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --point {wildcards.point}"
        " --model {input.model:q} --guide {input.guide:q} --judge {input.judge:q}"
        " --data {input.data:q} --out {output.samples:q}"
