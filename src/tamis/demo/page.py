"""The page as a Gradio app: an input, the answers of each target beside it, controls, examples.

It fetches nothing from elsewhere and reports nothing. It does not know how it is served, nor to whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tamis.demo.boxes import QUIET, Box, ChatBox, TextBox
from tamis.demo.inputs import LONGEST, checked_input, made_examples, takes_chats
from tamis.demo.panels import Panel, panels_of, verdicts
from tamis.demo.quiet import quiet_gradio
from tamis.demo.rendering import about, answer, heading, note, waiting
from tamis.errors import InvalidSetting, TamisError
from tamis.ml.model import Model
from tamis.schema import Input

AT_ONCE = 2
"""Inputs that are classified at the same time; others wait."""

MOST_WAITING = 100


@dataclass(frozen=True)
class Demo:
    """What the page shows.

    Attributes:
        model: what answers.
        examples: inputs to start from; none: some are made of the labels' names.
        longest: characters that an input may have.
    """

    model: Model
    examples: Sequence[Input] = ()
    longest: int = LONGEST
    panels: tuple[Panel, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Put the panels together once."""
        object.__setattr__(self, "panels", panels_of(self.model.manifest))

    @property
    def chats(self) -> bool:
        """Whether a chat is put in rather than a text."""
        return takes_chats(self.model.manifest, self.examples)

    @property
    def shown_examples(self) -> list[Input]:
        """The examples of the page."""
        return list(self.examples) or [*made_examples(self.model.manifest)]

    def answers(self, given: object, *values: float) -> list[str]:
        """Return a remark and the answer of each target, as HTML.

        Args:
            given: what the page sent: a text, or the messages of a chat.
            values: where all controls stand.
        """
        manifest = self.model.manifest
        try:
            found = checked_input(given, self.longest)
            if found is None:
                return self.nothing()
            scores = self.model.predictor.checked_scores([found])
        except TamisError as refused:
            return self.nothing(str(refused))
        said = verdicts(self.panels, scores, values)
        return [note(""), *(answer(panel, verdict, manifest) for panel, verdict in said)]

    def nothing(self, remark: str = "") -> list[str]:
        """Return the page's answers before there is anything to answer."""
        return [note(remark), *(waiting(panel, self.model.manifest) for panel in self.panels)]


@dataclass(frozen=True)
class _Shown:
    """The Gradio components of a target."""

    html: Any
    sliders: Sequence[Any] = ()
    reset: Any = None


def build(demo: Demo) -> Any:  # noqa: ANN401  gradio.Blocks: Gradio is imported when it is needed
    """Return the page, a `gradio.Blocks`; serve it with the options of `look`.

    Raises:
        MissingExtra: Gradio is not installed.
    """
    gr = quiet_gradio()
    with gr.Blocks(title=demo.model.name, analytics_enabled=False) as blocks:
        _html(gr, heading(demo.model.manifest, "chat" if demo.chats else "text"))
        with gr.Column(elem_id="tm-main"):
            with gr.Column(elem_id="tm-input"):
                box = _box(gr, demo)
                remark, *answers = demo.nothing()
                told = _html(gr, remark, "tm-told")
            with gr.Column(elem_id="tm-answers"):
                parts = [_panel(gr, panel, html) for panel, html in zip(demo.panels, answers, strict=True)]
            _connect(gr, demo, box, [told, *(part.html for part in parts)], parts)
        with gr.Accordion("About this model", open=False):
            _html(gr, about(demo.model.manifest))
    for block in blocks.blocks.values():
        block.async_move_resource_to_block_cache = _no_files
    blocks.queue(max_size=MOST_WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    return blocks


async def _no_files(*_: object) -> NoReturn:
    """In place of what fetches the files, from anywhere and of any size, that a value sent to the page names."""
    raise InvalidSetting("The page takes texts, and no files.")


def look() -> dict[str, Any]:
    """Return the options of serving that make the page look and behave as it should, wherever it is served."""
    gr = quiet_gradio()
    theme = gr.themes.Base(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
        radius_size="md",
    ).set(
        button_primary_background_fill="#0b6e6e",
        button_primary_background_fill_hover="#095a5a",
        button_primary_text_color="#ffffff",
        button_primary_background_fill_dark="#5cc3bd",
        button_primary_background_fill_hover_dark="#7ad3cd",
        button_primary_text_color_dark="#0d1716",
        button_secondary_background_fill="#eef2f5",
        button_secondary_background_fill_hover="#e2e8ed",
        button_secondary_background_fill_dark="#232c36",
        button_secondary_background_fill_hover_dark="#2d3844",
        input_background_fill="#ffffff",
        input_background_fill_dark="#12171d",
        input_border_width="1px",
        input_border_color="#cfd6de",
        input_border_color_dark="#3a4653",
        input_border_color_focus="#0b6e6e",
        input_border_color_focus_dark="#5cc3bd",
        block_info_text_color="#566271",
        block_info_text_color_dark="#9aa6b5",
        block_title_text_color="#1c2430",
        block_title_text_color_dark="#e4e8ee",
        body_background_fill="#ffffff",
        body_background_fill_dark="#12171d",
        block_background_fill_dark="#161d24",
        slider_color="#0b6e6e",
        slider_color_dark="#5cc3bd",
    )
    return {
        "theme": theme,
        "css_paths": [Path(__file__).with_name("style.css")],
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": False,
        "show_error": False,
        "max_file_size": 1,
        "enable_monitoring": False,
        "pwa": False,
    }


def _box(gr: Any, demo: Demo) -> Box:  # noqa: ANN401  the module gradio
    if demo.chats:
        return ChatBox(gr, demo.shown_examples, longest=demo.longest)
    return TextBox(gr, demo.shown_examples, live=demo.model.predictor.quick)


def _panel(gr: Any, panel: Panel, html: str) -> _Shown:  # noqa: ANN401
    """Put a target on the page: its answer, and behind a line the sliders that move its thresholds."""
    with gr.Column(elem_classes="tm-card"):
        shown = _html(gr, html)
        if not panel.controls:
            return _Shown(shown)
        with gr.Accordion("Thresholds" if panel.is_multi else "Threshold", open=False, elem_classes="tm-controls"):
            sliders = [
                gr.Slider(at.low, at.high, at.at_first, step=at.step, label=at.label, info=at.info or None, buttons=[])
                for at in panel.controls
            ]
            reset = gr.Button("Back to the model's own", size="sm")
        return _Shown(shown, sliders, reset)


def _html(gr: Any, html: str, name: str = "") -> Any:  # noqa: ANN401
    return gr.HTML(html, apply_default_css=False, elem_classes=name or None)


def _connect(gr: Any, demo: Demo, box: Box, outputs: Sequence[Any], parts: Sequence[_Shown]) -> None:  # noqa: ANN401
    """Say what happens when."""
    sliders = [slider for part in parts for slider in part.sliders]
    inputs = [box.value, *sliders]
    latest = {**QUIET, "trigger_mode": "always_last", "concurrency_id": "answers"}
    gr.on([*box.changes, *(slider.input for slider in sliders)], demo.answers, inputs, outputs, **latest)
    box.clear.click(lambda: [box.empty, *demo.nothing()], None, [box.value, *outputs], **QUIET)
    for panel, part in zip(demo.panels, parts, strict=True):
        if part.reset is not None:
            back = [at.at_first for at in panel.controls]
            done = part.reset.click(_giving(back), None, part.sliders, **QUIET)
            done.then(demo.answers, inputs, outputs, **latest)
    if box.samples:
        _examples(gr, demo, box, inputs, outputs)


def _examples(gr: Any, demo: Demo, box: Box, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:  # noqa: ANN401
    """Put the examples on the page as buttons of their first words; one that is chosen goes into the box."""
    with gr.Column(elem_id="tm-examples"):
        chosen = gr.Dataset(
            components=[gr.Textbox(visible=False)],
            samples=[[label] for label in box.labels],
            sample_labels=list(box.labels),
            label="Examples",
            type="index",
            samples_per_page=len(box.labels),
            layout="gallery",
        )
    put = chosen.click(lambda place: box.samples[place], chosen, box.value, **QUIET)
    put.then(demo.answers, inputs, outputs, **QUIET)


def _giving(values: list[float]) -> Callable[[], list[float] | float]:
    """A function that gives the values as Gradio wants them: one alone without a list."""
    return lambda: values if len(values) > 1 else values[0]
