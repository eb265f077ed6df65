# A custom path through the region that a network is trained for; it sees no test image.
rule search:
    input:
        model=files(inputs.searched),
        data=files(inputs.data),
    output:
        "<results>/{preset}/{experiment}/path.safetensors",
    log:
        "<results>/{preset}/logs/{experiment}/path.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/path.tsv"
    priority: 50
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("evaluate_minutes", grows=True),
    params:
        preset=preset_file,
        settings=ask(triggers.search),
    shell:
        "python -m gud --log {log:q} search --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --model {input.model:q} --data {input.data:q}"
        " --out {output:q}"


# A job computes batches of several points, which share one start; a point joins its batches.
rule evaluate:
    input:
        model=files(inputs.model),
        data=files(inputs.test_images),
    output:
        "<results>/{preset}/{experiment}/{quantity}/jobs/{job}.json",
    log:
        "<results>/{preset}/logs/{experiment}/{quantity}/jobs/{job}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/{quantity}/jobs/{job}.tsv"
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("evaluate_minutes", grows=True),
    params:
        preset=preset_file,
        data=option("data"),
    shell:
        "python -m gud --log {log:q} evaluate --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --quantity {wildcards.quantity} --job {wildcards.job}"
        " --model {input.model:q} {params.data} --out {output:q}"


rule point:
    input:
        jobs=files(inputs.jobs_of_point),
        made_from=files(inputs.evaluated),
    output:
        "<results>/{preset}/{experiment}/{quantity}/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/{quantity}/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/{quantity}/{point}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        preset=preset_file,
        settings=ask(triggers.point),
    shell:
        "python -m gud --log {log:q} join --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --quantity {wildcards.quantity}"
        " --point {wildcards.point} --out {output:q} {input.made_from:q}"


rule likelihoods:
    input:
        files(inputs.measured),
    output:
        report(
            "<results>/{preset}/{experiment}/nll.png",
            caption="../report/likelihoods.rst",
            category="{preset}",
            subcategory="Likelihoods",
        ),
    log:
        "<results>/{preset}/logs/{experiment}/nll.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/likelihoods.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        preset=preset_file,
        settings=ask(triggers.picture),
    shell:
        "python -m gud --log {log:q} likelihoods --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --picture {output:q} {input:q}"


rule steps:
    input:
        model=files(inputs.model),
        data=files(inputs.data),
    output:
        report(
            "<results>/{preset}/{experiment}/steps.png",
            caption="../report/steps.rst",
            category="{preset}",
            subcategory="Likelihoods",
        ),
    log:
        "<results>/{preset}/logs/{experiment}/steps.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/steps.tsv"
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("evaluate_minutes", grows=True),
    params:
        preset=preset_file,
        settings=ask(triggers.likelihoods),
        labels=ask(triggers.picture),
    shell:
        "python -m gud --log {log:q} steps --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --model {input.model:q} --data {input.data:q}"
        " --picture {output:q}"


rule samples:
    input:
        files(inputs.drawn),
    output:
        report(
            "<results>/{preset}/{experiment}/samples.png",
            caption="../report/samples.rst",
            category="{preset}",
            subcategory="Samples",
        ),
    log:
        "<results>/{preset}/logs/{experiment}/samples.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/samples.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        preset=preset_file,
        settings=ask(triggers.picture),
    shell:
        "python -m gud --log {log:q} samples --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --picture {output:q} {input:q}"


rule quality:
    input:
        samples="<results>/{preset}/{experiment}/samples{sampler}/{point}.npz",
        reference=files(inputs.data),
        weights=files(inputs.weights, "<downloads>"),
    output:
        "<results>/{preset}/{experiment}/quality{sampler}/{point}.json",
    log:
        "<results>/{preset}/logs/{experiment}/quality{sampler}/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/quality{sampler}/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("evaluate_minutes", grows=True),
    params:
        preset=preset_file,
        settings=ask(triggers.quality),
        weights=option("weights"),
    shell:
        "python -m gud --log {log:q} quality --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --samples {input.samples:q}"
        " --reference {input.reference:q} {params.weights} --out {output:q}"


# What is free: a scale for the likelihoods of an experiment, on the same test images.
rule scale:
    input:
        data=files(inputs.data),
        statistics=files(inputs.statistics),
    output:
        "<results>/{preset}/{experiment}/scale.csv",
    log:
        "<results>/{preset}/logs/{experiment}/scale.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/scale.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=compute("mem_mb", grows=True),
        runtime=60,
    params:
        preset=preset_file,
        settings=ask(triggers.scale),
    shell:
        "python -m gud --log {log:q} scale --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --data {input.data:q}"
        " --statistics {input.statistics:q} --out {output:q}"
