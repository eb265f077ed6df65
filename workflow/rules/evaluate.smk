# A job computes batches of several points, which share one start; a point joins its batches.
rule nll_shards:
    input:
        model="<results>/{preset}/{experiment}/model.safetensors",
        data=experiment_data,
    output:
        "<results>/{preset}/{experiment}/nll/jobs/{job}.json",
    log:
        "<results>/{preset}/logs/{experiment}/nll/jobs/{job}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/nll/jobs/{job}.tsv"
    conda:
        "../../environment.yml"
    threads: job_threads
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=evaluate_minutes,
    params:
        settings=nll_job_settings,
    shell:
        "python -m gud.nll --settings {params.settings:q} --model {input.model:q}"
        " --data {input.data:q}"
        " --out {output:q} 2>&1 | tee -i {log:q}"


rule sample_shards:
    input:
        model="<results>/{preset}/{experiment}/model.safetensors",
    output:
        "<results>/{preset}/{experiment}/{drawn}/jobs/{job}.json",
    log:
        "<results>/{preset}/logs/{experiment}/{drawn}/jobs/{job}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/{drawn}/jobs/{job}.tsv"
    conda:
        "../../environment.yml"
    threads: job_threads
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=evaluate_minutes,
    params:
        settings=sample_job_settings,
    shell:
        "python -m gud.sample --settings {params.settings:q} --model {input.model:q}"
        " --out {output:q} 2>&1 | tee -i {log:q}"


rule nll:
    input:
        jobs=nll_jobs,
        model="<results>/{preset}/{experiment}/model.safetensors",
        data=experiment_data,
    output:
        "<results>/{preset}/{experiment}/nll/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/nll/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/nll/{point}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        settings=nll_settings,
    shell:
        "python -m gud.merge --settings {params.settings:q} --inputs {input.model:q} {input.data:q}"
        " --out {output:q} 2>&1 | tee -i {log:q}"


rule sample:
    input:
        jobs=sample_jobs,
        model="<results>/{preset}/{experiment}/model.safetensors",
    output:
        "<results>/{preset}/{experiment}/{drawn}/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/{drawn}/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/{drawn}/{point}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        settings=sample_settings,
    shell:
        "python -m gud.merge --settings {params.settings:q} --inputs {input.model:q}"
        " --out {output:q} 2>&1 | tee -i {log:q}"


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
