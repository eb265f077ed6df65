rule download:
    output:
        "<downloads>/{download}/{file}",
    log:
        "<downloads>/logs/{download}/{file}.log",
    benchmark:
        "<downloads>/benchmarks/{download}/{file}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        url=download_url,
        sha256=download_sha256,
    shell:
        "python -m gud.download --url {params.url:q} --sha256 {params.sha256} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule data:
    input:
        archive=data_archives,
    output:
        "<results>/{preset}/data/{data}.npz",
    log:
        "<results>/{preset}/logs/data/{data}.log",
    benchmark:
        "<results>/{preset}/benchmarks/data/{data}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=memory,
        runtime=60,
    params:
        settings=data_settings,
    shell:
        "python -m gud.data --settings {params.settings:q} --archive {input.archive:q} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule fit_basis:
    input:
        "<results>/{preset}/data/{data}.npz",
    output:
        "<results>/{preset}/data/{data}.{basis}.safetensors",
    log:
        "<results>/{preset}/logs/data/{data}.{basis}.log",
    benchmark:
        "<results>/{preset}/benchmarks/data/{data}.{basis}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=memory,
        runtime=60,
    params:
        settings=basis_settings,
    shell:
        "python -m gud.representation --settings {params.settings:q} --data {input:q}"
        " --out {output:q} 2>&1 | tee -i {log:q}"
