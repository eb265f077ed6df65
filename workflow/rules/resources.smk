# What a job asks for; memory and time grow with each attempt. A training's time does not: at its
# end the job goes back into the queue and goes on.


def compute(wildcards):
    return PRESETS[wildcards.preset].compute


def job_threads(wildcards):
    return compute(wildcards).threads


def gpus(wildcards):
    return compute(wildcards).gpu


def train_gpus(wildcards):
    return compute(wildcards).train_gpu


def memory(wildcards, attempt):
    return compute(wildcards).mem_mb * attempt


def train_minutes(wildcards):
    return compute(wildcards).train_minutes


def evaluate_minutes(wildcards, attempt):
    return compute(wildcards).evaluate_minutes * attempt
