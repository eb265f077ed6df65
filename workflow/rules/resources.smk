# What a job asks for; memory and time grow with each attempt.


def compute(wildcards):
    return PRESETS[wildcards.preset].compute


def job_threads(wildcards):
    return compute(wildcards).threads


def gpus(wildcards):
    return compute(wildcards).gpu


def memory(wildcards, attempt):
    return compute(wildcards).mem_mb * attempt


def train_minutes(wildcards, attempt):
    return compute(wildcards).train_minutes * attempt


def evaluate_minutes(wildcards, attempt):
    return compute(wildcards).evaluate_minutes * attempt
