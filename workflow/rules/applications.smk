rule extend:
    input:
        model="<results>/{preset}/{experiment}/model.safetensors",
        data=experiment_data,
    output:
        "<results>/{preset}/{experiment}/strips/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/strips/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/strips/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: job_threads
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=evaluate_minutes,
    params:
        settings=strip_settings,
    shell:
        "python -m gud.extend --settings {params.settings:q} --model {input.model:q}"
        " --data {input.data:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule reconstruct:
    input:
        model="<results>/{preset}/{experiment}/model.safetensors",
        data=experiment_data,
    output:
        "<results>/{preset}/{experiment}/reconstructions/{point}.npz",
    log:
        "<results>/{preset}/logs/{experiment}/reconstructions/{point}.log",
    benchmark:
        "<results>/{preset}/benchmarks/{experiment}/reconstructions/{point}.tsv"
    conda:
        "../../environment.yml"
    threads: job_threads
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=evaluate_minutes,
    params:
        settings=reconstruction_settings,
    shell:
        "python -m gud.reconstruct --settings {params.settings:q} --model {input.model:q}"
        " --data {input.data:q} --out {output:q} 2>&1 | tee -i {log:q}"
