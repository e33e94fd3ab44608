"""What a server is: what was chosen for it and where, what it keeps and how much room is left, what it can do.

Nothing that is secret leaves it: of a key only whether there is one, of an address neither user, password nor query.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit, urlunsplit

import psutil
from pydantic import SecretStr

import tamis
from tamis.settings import FILE, PREFIX, Settings, origins
from tamis.store.opening import Store

GROUPS = {
    "What is kept": ("home", "database_url", "storage_url", "secret_key", "review_days", "operation_days"),
    "Reaching this server": ("public_url", "cors_origins", "log_format", "log_level"),
    "Training": (
        *("default_base_model", "base_aliases", "executor", "train_workers", "job_attempts", "job_memory_mb"),
        *("cost_per_million_tokens", "cost_currency"),
    ),
    "Where trainings are reported": ("wandb_base_url", "wandb_mode", "mlflow_tracking_uri"),
    "Answering": ("default_model", "moderation_model", "model_memory_mb", "inference_threads"),
    "A language model (LLM) beside": ("llm_base_url", "llm_api_key", "llm_models"),
    "Room": ("max_upload_bytes", "max_storage_bytes", "min_free_disk_bytes"),
    "Limits of data": ("max_line_bytes", "max_label_chars", "max_nesting", "max_labels"),
    "Limits of requests": (
        *("max_request_bytes", "max_inputs", "max_input_chars", "max_request_chars", "max_messages"),
        *("max_explained_inputs", "max_explained_chars", "max_batch_requests", "max_inline_requests"),
        *("max_concurrent_requests", "max_dry_runs", "max_live_jobs", "request_timeout_s"),
    ),
}
"""All settings, in the groups that people read them in."""

ABILITIES = (
    ("torch", "encoder", "train encoders: slower to learn, better with few examples and hard texts"),
    ("onnxruntime", "onnx", "answer with encoders quickly, without torch"),
    ("onnx", "export", "write models as ONNX, for other programs"),
    ("huggingface-hub", "hub", "fetch base models from the Hugging Face hub, and publish there"),
    ("datasets", "data", "read data sets of the Hugging Face hub, and Parquet files"),
    ("psycopg", "postgres", "keep everything in PostgreSQL"),
    ("wandb", "wandb", "report trainings to Weights & Biases"),
    ("mlflow-skinny", "mlflow", "report trainings to MLflow"),
    ("gradio", "demo", "share a demo of one model"),
)
"""Libraries that can be added: the package, the extra that brings it, and what it is for."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the operator's choices.

    Attributes:
        name: in `tamis.toml`.
        variable: of the environment.
        told: what it is.
        value: what holds now; of a secret whether there is one; None where nothing was chosen.
        default: what holds where nothing is chosen.
        origin: where it was chosen; empty where it was not.
        secret: whether it is not shown.
    """

    name: str
    variable: str
    told: str
    value: object
    default: object
    origin: str
    secret: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """Things of one kind: how many, and their bytes where that is known."""

    title: str
    count: int
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """What is kept.

    Attributes:
        kept: by kind.
        counted: bytes that the quota counts: files, and results and reports of the dashboard.
        quota: most bytes of these; None without a limit.
        disk_free, disk_size: of the disk that has the least room; None where no disk could be asked.
        stays_free: bytes of it that uploads and jobs leave free.
    """

    kept: Sequence[Kept]
    counted: int
    quota: int | None
    disk_free: int | None
    disk_size: int | None
    stays_free: int


@dataclass(frozen=True, slots=True)
class Ability:
    """Something that a library adds; `version` is None where it is not installed."""

    told: str
    package: str
    extra: str
    version: str | None


class About:
    """What the server of a workspace is."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Look at this store and these settings."""
        self._store, self._settings = store, settings

    def settings(self) -> dict[str, list[Setting]]:
        """Return all settings by group, without anything secret."""
        where = origins(self._settings)
        return {title: [self._setting(name, where[name]) for name in names] for title, names in GROUPS.items()}

    def space(self) -> Space:
        """Return how much is kept, and how much may still come.

        Raises:
            StorageFailed: the database cannot be used.
        """
        store = self._store
        kept = (
            Kept("Files", store.files.list(0, 0)[1]),
            Kept("Models", store.models.list(0, 0)[1], store.models.stored_bytes()),
            Kept("Jobs", store.jobs.list(0, 0)[1]),
            Kept("Batch jobs", store.batches.list(0, 0)[1]),
        )
        disks = []
        for place in (self._settings.home, store.objects.drafts):
            with suppress(OSError):
                disks.append(shutil.disk_usage(place))
        least = min(disks, key=lambda disk: disk.free, default=None)
        return Space(
            kept=kept,
            counted=store.files.stored_bytes(),
            quota=self._settings.max_storage_bytes or None,
            disk_free=None if least is None else least.free,
            disk_size=None if least is None else least.total,
            stays_free=self._settings.min_free_disk_bytes,
        )

    def facts(self) -> dict[str, str]:
        """Return what runs, on what, and where it keeps things."""
        memory = psutil.virtual_memory().total / 1e9
        database = "PostgreSQL" if self._store.database.is_postgres else "SQLite, one file in the home"
        objects = self._store.objects
        return {
            "Tamis": tamis.__version__,
            "Python": platform.python_version(),
            "Machine": f"{os.cpu_count()} cores, {memory:,.0f} GB of memory, {platform.system()} {platform.machine()}",
            "Database": database,
            "Files and models are in": str(objects.root) if objects.root is not None else without_secrets(objects.url),
        }

    def abilities(self) -> list[Ability]:
        """Return what libraries add to this server, whether they are there or not."""
        return [Ability(told, package, extra, _version(package)) for package, extra, told in ABILITIES]

    def _setting(self, name: str, origin: str) -> Setting:
        field = Settings.model_fields[name]
        value, default = getattr(self._settings, name), field.default
        secret = isinstance(default, SecretStr)
        return Setting(
            name=name,
            variable=f"{PREFIX}{name.upper()}",
            told=field.description or "",
            value=bool(value.get_secret_value()) if secret else _shown(name, value),
            default=None if secret else _shown(name, default),
            origin={"variable": f"variable {PREFIX}{name.upper()}", "file": FILE, "code": "how it was started"}.get(
                origin, ""
            ),
            secret=secret,
        )


def without_secrets(url: str) -> str:
    """Return an address without what may be secret in it: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "…"
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if parts.scheme else "…"


def _shown(name: str, value: object) -> object:
    """A value as people may see it; None for an empty one."""
    if name.endswith(("_url", "_uri")) and value:
        return without_secrets(str(value))
    if isinstance(value, dict):
        return ", ".join(f"{key} → {stands_for}" for key, stands_for in value.items()) or None
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or None
    if value == "":
        return None
    return value if isinstance(value, int | float) else str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
