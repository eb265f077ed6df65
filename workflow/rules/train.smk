# Trainings start first, since everything else waits for them. The checkpoints beside the model
# are no declared output: they outlive a failed job, and the next attempt resumes from them.
rule train:
    input:
        data=files(inputs.data),
        statistics=files(inputs.statistics),
    output:
        model="<results>/{preset}/{experiment}/model.safetensors",
        history="<results>/{preset}/{experiment}/training.csv",
    log:
        "<results>/{preset}/logs/{experiment}/train.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/train.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("train_gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("train_minutes"),
    params:
        preset=preset_file,
        settings=ask(triggers.training),
        processes=processes,
    shell:
        "exec python -m gud --log {log:q} train --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --data {input.data:q}"
        " --statistics {input.statistics:q} --out {output.model:q} {params.processes}"


# Classifiers of noised states: the one that guides samples to a class, and its judge.
rule train_classifier:
    input:
        data=files(inputs.data),
        statistics=files(inputs.statistics),
    output:
        model="<results>/{preset}/{experiment}/classifiers/{classifier}/model.safetensors",
        history="<results>/{preset}/{experiment}/classifiers/{classifier}/training.csv",
    log:
        "<results>/{preset}/logs/{experiment}/classifiers/{classifier}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/classifiers/{classifier}.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    threads: compute("threads")
    resources:
        gpu=compute("train_gpu"),
        mem_mb=compute("mem_mb", grows=True),
        runtime=compute("train_minutes"),
    params:
        preset=preset_file,
        settings=ask(triggers.classifier),
        processes=processes,
    shell:
        "exec python -m gud --log {log:q} train --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --classifier {wildcards.classifier} --data {input.data:q}"
        " --statistics {input.statistics:q} --out {output.model:q} {params.processes}"


rule course:
    input:
        "<results>/{preset}/{experiment}/training.csv",
    output:
        report(
            "<results>/{preset}/{experiment}/training.png",
            caption="../report/course.rst",
            category="{preset}",
            subcategory="Trainings",
        ),
    log:
        "<results>/{preset}/logs/{experiment}/training.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/course.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        preset=preset_file,
        settings=ask(triggers.picture),
    shell:
        "python -m gud --log {log:q} course --preset {params.preset:q}"
        " --experiment {wildcards.experiment} --table {input:q} --picture {output:q}"
