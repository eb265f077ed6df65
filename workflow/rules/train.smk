# Trainings start first, since everything else waits for them. The checkpoints beside the model
# are no declared output: they outlive a failed job, and the next attempt goes on from them.
# Shell and log outlive a signal to the whole job, which training itself heeds.
rule train:
    input:
        data=experiment_data,
        statistics=experiment_statistics,
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
    threads: job_threads
    resources:
        gpu=train_gpus,
        mem_mb=memory,
        runtime=train_minutes,
    params:
        settings=train_settings,
    shell:
        "trap '' TERM USR1; python -m gud.train --settings {params.settings:q} --data {input.data:q}"
        " --statistics {input.statistics:q} --out {output.model:q}"
        " --processes {resources.gpu} 2>&1 | tee -i {log:q}"
