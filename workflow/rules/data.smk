# What comes from outside may be wrong, and stays so: it is not tried again. The command itself tries
# a network again, and SLURM a machine.
rule download:
    output:
        "<downloads>/{download}/{file}",
    log:
        "<downloads>/logs/{download}/{file}.log",
    benchmark:
        "<downloads>/benchmarks/{download}/{file}.tsv"
    retries: 0
    localrule: True
    conda:
        "../../environment.yml"
    params:
        url=download_url,
        sha256=download_sha256,
    shell:
        "python -m gud --log {log:q} download --url {params.url:q} --sha256 {params.sha256}"
        " --out {output:q}"


rule data:
    input:
        archive=files(inputs.archives, "<downloads>"),
    output:
        "<results>/{preset}/data/{data}.npz",
    log:
        "<results>/{preset}/logs/data/{data}.log",
    benchmark:
        "<results>/{preset}/benchmarks/data/{data}.tsv"
    retries: 0
    conda:
        "../../environment.yml"
    resources:
        mem_mb=compute("mem_mb"),
        runtime=60,
    params:
        preset=preset_file,
        settings=ask(triggers.dataset),
    shell:
        "python -m gud --log {log:q} dataset --preset {params.preset:q} --name {wildcards.data}"
        " --out {output:q} {input.archive:q}"


# Dequantisation and mean removal: the mean image, the grey levels, and whether the dequantised
# values are uniform in the bins of their levels.
rule centre:
    input:
        "<results>/{preset}/data/{data}.npz",
    output:
        mean="<results>/{preset}/data/{data}.mean.npy",
        levels="<results>/{preset}/data/{data}.levels.csv",
        checks=report(
            "<results>/{preset}/data/{data}.dequantisation.csv",
            caption="../report/centring.rst",
            category="{preset}",
            subcategory="Data",
        ),
        picture=report(
            "<results>/{preset}/data/{data}.png",
            caption="../report/centring.rst",
            category="{preset}",
            subcategory="Data",
        ),
    log:
        "<results>/{preset}/logs/data/{data}.png.log",
    benchmark:
        "<results>/{preset}/benchmarks/data/{data}.centring.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=compute("mem_mb", grows=True),
        runtime=60,
    shell:
        "python -m gud --log {log:q} centre --data {input:q} --mean {output.mean:q}"
        " --levels {output.levels:q} --checks {output.checks:q} --picture {output.picture:q}"


rule fit_basis:
    input:
        data="<results>/{preset}/data/{data}.npz",
        mean="<results>/{preset}/data/{data}.mean.npy",
    output:
        "<results>/{preset}/data/{data}.{basis}{mirrored}.safetensors",
    log:
        "<results>/{preset}/logs/data/{data}.{basis}{mirrored}.log",
    benchmark:
        "<results>/{preset}/benchmarks/data/{data}.{basis}{mirrored}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=compute("mem_mb", grows=True),
        runtime=60,
    params:
        options=ask(triggers.basis_options),
    shell:
        "python -m gud --log {log:q} statistics --basis {wildcards.basis} {params.options}"
        " --data {input.data:q} --mean {input.mean:q} --out {output:q}"


rule spectrum:
    input:
        "<results>/{preset}/data/{data}.{basis}{mirrored}.safetensors",
    output:
        table=report(
            "<results>/{preset}/data/{data}.{basis}{mirrored}.csv",
            caption="../report/spectrum.rst",
            category="{preset}",
            subcategory="Data",
        ),
        picture=report(
            "<results>/{preset}/data/{data}.{basis}{mirrored}.png",
            caption="../report/spectrum.rst",
            category="{preset}",
            subcategory="Data",
        ),
    log:
        "<results>/{preset}/logs/data/{data}.{basis}{mirrored}.png.log",
    benchmark:
        "<results>/{preset}/benchmarks/data/{data}.{basis}{mirrored}.spectrum.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        "python -m gud --log {log:q} spectrum --basis {wildcards.basis} --statistics {input:q}"
        " --table {output.table:q} --picture {output.picture:q}"
