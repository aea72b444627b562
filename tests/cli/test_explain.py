"""What is refused; what it writes is in tests/report/explain/test_report.py."""


def test_what_cannot_be_explained(refused, model, other_model, tmp_path) -> None:
    out = tmp_path / "page.html"
    assert "must end in .html" in refused("explain", model, "--out", tmp_path / "page.pdf")
    assert "a folder" in refused("explain", model, "--out", _folder(tmp_path / "folder.html"))
    assert "did you mean 'sword'" in refused("explain", model, "--out", out, "--label", "swords")
    assert "without labels" in refused("explain", other_model, "--out", out, "--label", "sword")
    assert "not a model folder" in refused("explain", tmp_path / "none", "--out", out)
    assert "--seed must be 0 or more, got -1" in refused("explain", model, "--out", out, "--seed", -1)
    assert not out.exists()


def _folder(path):
    path.mkdir()
    return path
