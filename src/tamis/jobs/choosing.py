"""The operator's settings, as far as jobs go. It takes settings, and does not read them."""

from __future__ import annotations

import psutil

from tamis.data.formats import ReadOptions
from tamis.endpoints import InputLimits
from tamis.jobs.tools import Choices
from tamis.settings import Settings

SHARE_OF_MACHINE = 0.8
"""Of the machine's memory, what a job may use where the operator did not say."""


def choices_of(settings: Settings) -> Choices:
    """Return what the operator chose, as far as jobs go."""
    machine = psutil.virtual_memory().total / 1e6
    return Choices(
        work=settings.home / "work",
        home=settings.home,
        memory_mb=settings.job_memory_mb or SHARE_OF_MACHINE * machine,
        cost_per_million_tokens=settings.cost_per_million_tokens,
        cost_currency=settings.cost_currency,
        max_labels=settings.max_labels,
        max_batch_requests=settings.max_batch_requests,
        limits=InputLimits.of(settings),
        trackers={
            "wandb_base_url": settings.wandb_base_url,
            "wandb_mode": settings.wandb_mode,
            "mlflow_tracking_uri": settings.mlflow_tracking_uri,
        },
        reading=ReadOptions(
            max_line_bytes=settings.max_line_bytes,
            max_label_chars=settings.max_label_chars,
            max_nesting=settings.max_nesting,
        ),
        review_days=settings.review_days,
        operation_days=settings.operation_days,
        min_free_disk_bytes=settings.min_free_disk_bytes,
        llm_base_url=settings.llm_base_url,
        llm_key=settings.llm_api_key.get_secret_value(),
    )
