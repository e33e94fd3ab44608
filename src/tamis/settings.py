"""The settings: the only place that reads the environment.

A value comes from the environment variable `TAMIS_` + its name, else from `tamis.toml` in the home, else from here.
docs/reference/settings.md says the same for people. Nothing is read before `load_settings` is called.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from tamis.errors import InvalidSetting

PREFIX = "TAMIS_"
FILE = "tamis.toml"
DATABASE = "tamis.db"
DEFAULT_HOME = "~/.tamis"
HOSTED_BASES = ("ministral-3b-latest", "english", "multilingual")
"""Base models of the hosted products whose names code may still use: each stands for the default base model."""

HOSTED_MODERATORS = frozenset(
    {
        *("omni-moderation-latest", "omni-moderation-2024-09-26", "text-moderation-latest", "text-moderation-stable"),
        *("mistral-moderation-latest", "mistral-moderation-2411"),
    }
)
"""Models of hosted services whose names code may still use to moderate: each stands for `moderation_model`."""

MOST_INLINE = 100_000
"""What `max_inline_requests` may be: larger lists would hold up the server while they are read."""


class Settings(BaseSettings):
    """What an operator may choose."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    home: Path = Field(default=Path(DEFAULT_HOME), description="folder of everything that is kept")
    default_base_model: str = Field(
        default="static-en", min_length=1, description="base model of a run that names none, or a hosted product's"
    )
    base_aliases: dict[str, str] = Field(default={}, description="names that stand for base models")
    max_line_bytes: int = Field(default=10 * 2**20, ge=1, description="longest row of a data file, in bytes of UTF-8")
    max_label_chars: int = Field(default=256, ge=1, description="longest name of a label or target")
    max_nesting: int = Field(default=32, ge=1, description="deepest nesting of a JSON row")

    # what survives a restart
    database_url: str = Field(default="", description="SQLAlchemy URL; empty: SQLite in the home")
    storage_url: str = Field(default="", description="where files and models are kept; empty: a folder in the home")
    secret_key: SecretStr = Field(default=SecretStr(""), description="seals secrets; empty: a key file in the home")

    # jobs
    executor: Literal["local"] = Field(default="local", description="where jobs run")
    train_workers: int = Field(default=1, ge=0, le=64, description="jobs that run at the same time on this machine")
    job_attempts: int = Field(default=3, ge=1, le=20, description="times a job is tried whose process was killed")
    job_memory_mb: int = Field(default=0, ge=0, description="most memory of a job; 0: four fifths of the machine's")
    cost_per_million_tokens: float = Field(default=0.0, ge=0, description="what the jobs' metadata calls the cost")
    cost_currency: str = Field(default="EUR", min_length=3, max_length=3, description="and in which currency")
    wandb_base_url: str = Field(default="", description="Weights & Biases server; empty: the public one")
    wandb_mode: Literal["", "online", "offline", "disabled"] = Field(
        default="", description="whether jobs report there; empty: where the server answers, else runs are kept here"
    )
    mlflow_tracking_uri: str = Field(default="", description="MLflow server that every job is reported to")

    # serving
    public_url: str = Field(default="", description="how others reach the server; empty: as the request came")
    moderation_model: str = Field(default="", description="model of moderation requests that name none")
    default_model: str = Field(default="", description="model of /classify and /predict requests that name none")
    model_memory_mb: int = Field(default=2048, ge=16, description="memory for models that are kept loaded")
    inference_threads: int = Field(
        default=0, ge=0, le=1024, description="threads that score for an encoder; 0: the cores, shared by the processes"
    )
    llm_base_url: str = Field(
        default="", description="OpenAI-compatible endpoint behind /v1/chat/completions, and of LLMs that label"
    )
    llm_api_key: SecretStr = Field(default=SecretStr(""), description="key for it")
    llm_models: dict[str, str] = Field(default={}, description="names of its models by the names that callers use")
    cors_origins: tuple[str, ...] = Field(default=(), description="web origins that may call the API")
    log_format: Literal["text", "json"] = Field(default="text", description="how the server logs")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="and how much")

    # limits of the server
    max_upload_bytes: int = Field(default=512 * 2**20, ge=1, description="largest file")
    max_storage_bytes: int = Field(default=0, ge=0, description="bytes of all files and reports together; 0: no limit")
    min_free_disk_bytes: int = Field(
        default=10**9, ge=0, description="room on the disk that uploads and jobs leave free; 0: none"
    )
    review_days: int = Field(
        default=90, ge=0, description="days without a change after which the report of a review is deleted; 0: never"
    )
    operation_days: int = Field(
        default=90,
        ge=0,
        description="days after which results of the dashboard, as of evaluations, are deleted; 0: never",
    )
    max_request_bytes: int = Field(default=16 * 2**20, ge=1, description="largest request that is not a file")
    max_inputs: int = Field(default=2048, ge=1, description="inputs of one call")
    max_input_chars: int = Field(default=200_000, ge=1, description="characters of one input")
    max_request_chars: int = Field(default=4_000_000, ge=1, description="characters of all inputs of one call")
    max_messages: int = Field(default=1024, ge=1, description="messages of one chat")
    max_explained_inputs: int = Field(default=8, ge=1, description="inputs of one call that explains them")
    max_explained_chars: int = Field(default=20_000, ge=1, description="characters of all inputs of one such call")
    max_labels: int = Field(default=20_000, ge=2, description="labels of all targets of a job")
    max_batch_requests: int = Field(default=1_000_000, ge=1, description="requests of one batch job")
    max_inline_requests: int = Field(
        default=10_000, ge=1, le=MOST_INLINE, description="requests of one batch job that are not a file"
    )
    max_concurrent_requests: int = Field(default=64, ge=1, description="requests at work; more get 429")
    max_dry_runs: int = Field(default=1, ge=1, le=64, description="dry runs of jobs at work; more get 429")
    max_live_jobs: int = Field(default=1000, ge=1, description="jobs and batch jobs that are not finished")
    request_timeout_s: float = Field(
        default=60.0, gt=0, description="longest wait for more of a body, or of an LLM answer"
    )

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return expanded(home)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then the environment, then the home's file."""
        home = expanded(Path(os.environ.get(f"{PREFIX}HOME") or DEFAULT_HOME))
        return init_settings, env_settings, InitSettingsSource(settings_cls, _from_file(home / FILE))

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.home / DATABASE}"

    @property
    def has_database(self) -> bool:
        """Whether there is a database to ask: a server or a command has made one in the home, or a URL names one."""
        return bool(self.database_url) or (self.home / DATABASE).exists()

    @property
    def storage(self) -> str:
        """The object storage's URL."""
        return self.storage_url or f"file://{self.home / 'objects'}"

    @property
    def secret(self) -> str | Path:
        """What secrets are sealed with: the key, or the file that holds it."""
        return self.secret_key.get_secret_value() or self.home / "secret.key"

    def resolve_base(self, name: str | None) -> str:
        """Return the base model that a name stands for; None, and the hosted products' names, mean the default."""
        if name is not None and name in self.base_aliases:
            return self.base_aliases[name]
        if name is None or name in HOSTED_BASES:
            return self.default_base_model
        return name

    def resolve_moderator(self, name: str | None) -> str | None:
        """Return the model that moderates; None, and hosted models' names, mean the operator's, where there is one."""
        if name is None or name in HOSTED_MODERATORS:
            return self.moderation_model or name
        return name


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        InvalidSetting: a value is outside what is allowed, or the file cannot be read; the message says where.
    """
    try:
        return Settings()
    except SettingsError as error:
        name = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "?")
        is_list = name in Settings.model_fields and Settings.model_fields[name].default == ()
        like = '["https://example.org"]' if is_list else '{"english": "static-en"}'
        why = f"is not JSON ({error.__cause__}). Write it like {like}"
        raise InvalidSetting(f"The variable {PREFIX}{name.upper()} {why}.", setting=name) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        raise InvalidSetting(f"{_place(name)}: {_why(str(first['type']), str(first['msg']))}.", setting=name) from None


Origin = Literal["variable", "file", "code", ""]
"""Where a value was chosen: a variable, the home's file, what made the settings; empty where it is the default."""


def origins(settings: Settings) -> dict[str, Origin]:
    """Return where the value of each setting was chosen, by its name.

    The file is read again: one that was changed, or broken, since the settings were read tells of itself as it is now.
    """
    try:
        in_file = _from_file(settings.home / FILE)
    except InvalidSetting:
        in_file = {}

    def origin_of(name: str) -> Origin:
        if getattr(settings, name) == Settings.model_fields[name].default:
            return ""
        if os.environ.get(f"{PREFIX}{name.upper()}"):
            return "variable"
        return "file" if name in in_file else "code"

    return {name: origin_of(name) for name in Settings.model_fields}


def expanded(path: Path) -> Path:
    """Return the path, absolute, with `~` replaced.

    Raises:
        InvalidSetting: there is no home folder of the user that `~` could mean.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise InvalidSetting(f"{path}: this user has no home folder. Set TAMIS_HOME to a folder.") from error


def _from_file(path: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSetting(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if "home" in values:
        raise InvalidSetting(f"{path}: the home cannot be chosen in a file inside it. Set the variable TAMIS_HOME.")
    return values


def _place(name: str) -> str:
    """Where a value that is not allowed was given."""
    variable = f"{PREFIX}{name.upper()}"
    return f"The variable {variable}" if os.environ.get(variable) else f"{FILE}, key {name}"


def _why(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"there is no such setting. There are: {', '.join(sorted(Settings.model_fields))}"
    return message[:1].lower() + message[1:]
