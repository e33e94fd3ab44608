from tamis.ml.portions import portions


def test_portions_are_of_bounded_work():
    strings = ["a" * 4, "b" * 6, "c", "d" * 50, "e", "f", "g", "h"]
    assert list(portions(strings, 10, 3)) == [strings[:2], ["c"], ["d" * 50], strings[4:7], strings[7:]]
    assert list(portions(strings, 10)) == [strings[:2], ["c"], ["d" * 50], strings[4:]]
    assert list(portions([], 10, 3)) == []
