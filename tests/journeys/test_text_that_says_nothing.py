"""What a model answers to a text that says nothing of what it learnt."""

import tamis
from tamis.examples import example_path


def test_an_empty_text_gets_no_more_labels_than_other_rows():
    model = tamis.train(str(example_path("support.jsonl")), max_bad_share=0.02)
    topics = next(target for target in model.targets if target.name == "topics")
    for text in ("", "…", "чёрт"):
        given = model.classify(text)["topics"].labels
        assert len(given) <= 2, f"{text!r} got {len(given)} of {len(topics.labels)} labels: {given}"
