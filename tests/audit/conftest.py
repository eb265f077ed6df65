import pytest

from gud.provenance import write_record


@pytest.fixture
def chain(tmp_path):
    """figure <- table <- two points <- model <- data <- photograph, the last without a record."""
    files = {
        name: tmp_path / folder / name
        for folder, name in (
            ("figures", "figure3.pdf"),
            ("tables", "figure3.csv"),
            ("scan/nll", "a=0.4_r=0.npz"),
            ("scan/nll", "a=1_r=0.npz"),
            ("scan", "model.safetensors"),
            ("data", "data.npz"),
            ("site", "china.jpg"),
        )
    }
    photograph, data, model, *points, table, figure = reversed(files.values())
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(file.name.encode())
    write_record(data, inputs=[photograph])
    write_record(model, inputs=[data], seed=3, device="NVIDIA H200", started=0.0)
    for point in points:
        write_record(point, inputs=[model, data])
    write_record(table, inputs=points)
    write_record(figure, inputs=[table])
    return files
