"""Texts that make trouble: nothing in them, cut off, in another language, shaped by a template, personal."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.languages import NAMES, UNDETERMINED, guess
from tamis.data.review.corpus import Corpus
from tamis.data.review.edits import MaskText, RemoveRow
from tamis.data.review.personal import KINDS, find_personal
from tamis.data.review.places import counted, named, place_of, shown
from tamis.data.review.report import MOST_ITEMS, Finding, Item
from tamis.data.review.scores import Rows, portions
from tamis.data.thinning import evenly
from tamis.data.truth import MultiTruth, SingleTruth
from tamis.schema import plain_text

MOST_GUESSED = 50_000
"""Rows, evenly spread, whose language is guessed."""

MAIN_LANGUAGE = 0.85
"""Share of the rows whose language can be told from which other languages are worth a look."""

LEAST_WORDS = 8
"""Words of a text in letters of the main language from which another language is believed."""

MOST_FRAMED = 100_000
"""Rows, evenly spread, in which templates are looked for."""

FRAME_WORDS = 4
FRAME_SHARE, FRAME_ELSEWHERE, LEAST_FRAMED = 0.4, 0.1, 10
"""A beginning or end is a template of a label where this share of its rows has it, few others, in so many rows."""

CUT_LENGTH, LEAST_CUT, CUT_SHARE = 60, 5, 0.01
"""Texts of the greatest length seem cut from so many characters, where so many rows (and this share) have it."""

_WORD = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")
_LETTER = re.compile(r"[^\W_]")
_CUT_OFF = re.compile(r"\w(?:\.\.\.|…)$|\[(?:truncated|cut|\.\.\.)\]$", re.IGNORECASE)


@dataclass(slots=True)
class Traits:
    """What one walk over the texts of the training data left: rows of each trait, in their order."""

    bare: list[int] = field(default_factory=list)
    dotted: list[int] = field(default_factory=list)
    personal: dict[int, frozenset[str]] = field(default_factory=dict)
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def find_traits(data: Dataset) -> Traits:
    """Walk over the texts."""
    found = Traits(lengths=np.zeros(len(data), dtype=np.int64))
    for row, given in enumerate(data.inputs):
        text = plain_text(given)
        found.lengths[row] = len(text)
        if len(text) < CUT_LENGTH and not _says_something(text):
            found.bare.append(row)
        elif text[-1] in ".…]" and _CUT_OFF.search(text[-16:]) and len(text) >= CUT_LENGTH:
            found.dotted.append(row)
        personal = find_personal(text)
        if personal:
            found.personal[row] = frozenset(each.kind for each in personal)
    return found


def _says_something(text: str) -> bool:
    """A letter of an alphabet needs company; a digit, a sign of Chinese or a picture may stand alone."""
    letters = len(_LETTER.findall(text))
    return letters > 1 or any(ord(character) > 0x2E80 or character.isdigit() for character in text)


def text_findings(corpus: Corpus, traits: Traits) -> Iterator[Finding]:
    """Say what is wrong with the texts of the training data."""
    yield from _bare(corpus, traits)
    yield from _cut(corpus, traits)
    yield from _personal(corpus, traits)
    yield from _languages(corpus)
    yield from _templates(corpus)


def _bare(corpus: Corpus, traits: Traits) -> Iterator[Finding]:
    if traits.bare:
        rows = np.array(traits.bare)
        yield Finding(
            id="empty_texts",
            code="empty_texts",
            severity="warning",
            message=f"{counted(len(rows))} {'says' if len(rows) == 1 else 'say'} nothing: signs or a single letter.",
            why="Whatever their label is, it cannot be told from the text.",
            suggestion="Leave them out.",
            fix="empty",
            count=len(rows),
            items=tuple(Item(rows=(place_of(corpus, row),), edits=(RemoveRow(row=row),)) for row in shown(rows)),
        )


def _cut(corpus: Corpus, traits: Traits) -> Iterator[Finding]:
    longest = int(traits.lengths.max(initial=0))
    at_limit = np.flatnonzero(traits.lengths == longest)
    enough = longest >= CUT_LENGTH and len(at_limit) >= max(LEAST_CUT, CUT_SHARE * len(corpus.train))
    dotted = np.array(traits.dotted, dtype=np.int64)
    rows = np.union1d(at_limit if enough else at_limit[:0], dotted if len(dotted) >= LEAST_CUT else dotted[:0])
    if len(rows):
        how = f", {len(at_limit):,} of them at exactly {longest:,} characters" if enough else " with “…”"
        yield Finding(
            id="cut_texts",
            code="cut_texts",
            severity="info",
            message=f"{counted(len(rows))} {'seems' if len(rows) == 1 else 'seem'} cut off{how}.",
            why="What was cut may be what the label is about, and texts to come may be whole.",
            suggestion="Export the texts whole, if there is more of them.",
            count=len(rows),
            items=tuple(Item(rows=(place_of(corpus, row),)) for row in shown(rows)),
        )


def _personal(corpus: Corpus, traits: Traits) -> Iterator[Finding]:
    if traits.personal:
        rows = np.array(list(traits.personal))
        kinds = Counter(kind for found in traits.personal.values() for kind in found)
        told = ", ".join(f"{counted(rows, KINDS[kind])}" for kind, rows in kinds.most_common())
        grave = bool(kinds["card"] or kinds["iban"])
        yield Finding(
            id="personal_data",
            code="personal_data",
            severity="warning" if grave else "info",
            message=f"{counted(len(rows))} {'seems' if len(rows) == 1 else 'seem'} to hold personal data ({told}).",
            why="It is learnt from, kept in files and shown to whoever looks at rows. Names are not looked for.",
            suggestion="Put words like [email] in its place.",
            fix="personal",
            count=len(rows),
            items=tuple(
                Item(
                    rows=(place_of(corpus, row),),
                    told=", ".join(KINDS[kind] for kind in sorted(traits.personal[row])),
                    edits=(MaskText(row=row),),
                )
                for row in shown(rows)
            ),
        )


def other_language_rows(data: Dataset) -> tuple[str, dict[int, str]]:
    """Return the main language of the rows, and the rows that seem to be in another; "" where there is none."""
    rows = evenly(len(data), MOST_GUESSED)
    guessed = {row: guess(plain_text(data.inputs[row])) for row in rows.tolist()}
    counts = Counter(code for code in guessed.values() if code != UNDETERMINED)
    if not counts:
        return "", {}
    main, most = counts.most_common(1)[0]
    if most < max(20, MAIN_LANGUAGE * counts.total()):
        return "", {}
    others = {row: code for row, code in guessed.items() if code not in (main, UNDETERMINED)}
    return main, {row: code for row, code in others.items() if _can_be_told(plain_text(data.inputs[row]))}


def _can_be_told(text: str) -> bool:
    """Words of another script, or enough words: two short ones mislead."""
    foreign = sum(not character.isascii() for character in text[:400])
    return foreign > 0.2 * min(len(text), 400) or len(text.split()) >= LEAST_WORDS


def _languages(corpus: Corpus) -> Iterator[Finding]:
    main, others = other_language_rows(corpus.train)
    if others:
        rows = np.array(list(others))
        counts = Counter(others.values())
        told = ", ".join(f"{NAMES[code]} {count:,}" for code, count in counts.most_common(4))
        sampled = " of those looked at" if len(corpus.train) > MOST_GUESSED else ""
        yield Finding(
            id="other_languages",
            code="other_languages",
            severity="info",
            message=f"{counted(len(rows))}{sampled} {'seems' if len(rows) == 1 else 'seem'} not to be in {NAMES[main]} "
            f"like the rest ({told}).",
            why="A few rows of another language teach little, and the base model may not know it.",
            suggestion="Leave them out, unless such texts are to come. A hint: short texts are often taken wrongly.",
            fix="languages",
            count=len(rows),
            items=tuple(
                Item(rows=(place_of(corpus, row),), told=NAMES[others[row]], edits=(RemoveRow(row=row),))
                for row in shown(rows)
            ),
        )


@dataclass(slots=True)
class _Frame:
    """A beginning or end of texts, and its rows by label."""

    rows: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    examples: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))


def _templates(corpus: Corpus) -> Iterator[Finding]:
    for target in corpus.train.targets:
        items, seen = list[Item](), set[tuple[int, ...]]()
        for label, told, share, rows in _framed(corpus.train, target.name):
            if tuple(rows) not in seen and len(items) < MOST_ITEMS:
                seen.add(tuple(rows))
                items.append(
                    Item(
                        rows=tuple(place_of(corpus, row) for row in rows[:3]),
                        told=f"{share:.0%} of {target.labels[label]!r} {told}, hardly any other row",
                    )
                )
        if items:
            labels = list(dict.fromkeys(item.rows[0].labels[target.name][0] for item in items))
            yield Finding(
                id=f"templates:{target.name}",
                code="templates",
                severity="warning",
                target=target.name,
                message=f"{counted(len(labels), 'label')} of {target.name!r} can be told by a template that many of "
                f"{'its' if len(labels) == 1 else 'their'} rows share: {named(labels)}.",
                why="The model will learn that shortcut, and fail where texts come without it.",
                suggestion="Take the template out of the texts, or add rows of the label that are written otherwise.",
                count=len(items),
                items=tuple(items),
            )


def _framed(data: Dataset, target: str) -> Iterator[tuple[int, str, float, list[int]]]:
    """Yield label, words for the template, its share of the label's rows, and some of its rows; the surest first."""
    truth = data.truth[target]
    rows = evenly(len(data), MOST_FRAMED)
    frames: dict[tuple[str, str], _Frame] = {}
    of_label: Counter[int] = Counter()
    for some in portions(len(rows), 10_000):
        for row in rows[some].tolist():
            codes = _codes(truth, row)
            of_label.update(codes)
            words = _WORD.findall(plain_text(data.inputs[row])[:2_000].lower())
            if len(words) > FRAME_WORDS:
                for where, piece in (("begin", words[:FRAME_WORDS]), ("end", words[-FRAME_WORDS:])):
                    frame = frames.setdefault((where, " ".join(piece)), _Frame())
                    for code in codes:
                        frame.rows[code] += 1
                        if len(frame.examples[code]) < 3:
                            frame.examples[code].append(row)
    found = []
    for (where, phrase), frame in frames.items():
        total = sum(frame.rows.values())
        for code, count in frame.rows.items():
            share = count / of_label[code]
            others = max(sum(of_label.values()) - of_label[code], 1)
            typical = share >= FRAME_SHARE and count >= LEAST_FRAMED and (total - count) / others <= share / 20
            if typical and total - count <= FRAME_ELSEWHERE * total and len(of_label) > 1:
                found.append((code, f"{where} with {phrase!r}", share, frame.examples[code]))
    yield from sorted(found, key=lambda each: -each[2])


def _codes(truth: SingleTruth | MultiTruth, row: int) -> list[int]:
    if isinstance(truth, SingleTruth):
        code = int(truth.codes[row])
        return [code] if 0 <= code < truth.n_labels else []
    return [int(code) for code in truth.codes[truth.offsets[row] : truth.offsets[row + 1]] if code < truth.n_labels]


def empty_rows(data: Dataset) -> Rows:
    """Return the rows whose texts say nothing."""
    return np.array(find_traits(data).bare, dtype=np.int64)
