rule nll:
    input:
        model="<results>/{preset}/{experiment}/model.safetensors",
        data=experiment_data,
    output:
        "<results>/{preset}/{experiment}/nll/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/nll/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/nll/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: job_threads
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=evaluate_minutes,
    params:
        settings=nll_settings,
    shell:
        "python -m gud.nll --settings {params.settings:q} --model {input.model:q}"
        " --data {input.data:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule sample:
    input:
        "<results>/{preset}/{experiment}/model.safetensors",
    output:
        "<results>/{preset}/{experiment}/samples/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/samples/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/samples/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: job_threads
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=evaluate_minutes,
    params:
        settings=sample_settings,
    shell:
        "python -m gud.sample --settings {params.settings:q} --model {input:q} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule quality:
    input:
        samples="<results>/{preset}/{experiment}/samples/{point}.npz",
        reference=experiment_data,
        weights=inception_weights,
    output:
        "<results>/{preset}/{experiment}/quality/{point}.json",
    log:
        "<results>/{preset}/logs/{experiment}/quality/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/quality/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: job_threads
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=evaluate_minutes,
    params:
        settings=quality_settings,
    shell:
        "python -m gud.quality --settings {params.settings:q} --samples {input.samples:q}"
        " --reference {input.reference:q} --weights {input.weights:q} --out {output:q} 2>&1 | tee -i {log:q}"
