from noisette.report.card import held_out_loss


def test_a_cut_off_last_line_of_the_metrics_is_skipped(tmp_path) -> None:
    """A run that was killed while it wrote a row ends in half a line, which may even end in a brace."""
    (tmp_path / "metrics.jsonl").write_text(
        '{"images": 8, "held_out": {"all": 0.5}}\n{"images": 16, "held_out": {"all"}'
    )
    assert held_out_loss(tmp_path) == {"held-out loss after 8 images": "0.5000"}
