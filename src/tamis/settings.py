"""The settings: the only place that reads the environment.

A value comes from the environment variable `TAMIS_` + its name, else from `tamis.toml` in the home, else from here.
docs/reference/settings.md says the same for people. Nothing is read before `load_settings` is called.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
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
DEFAULT_HOME = "~/.tamis"
HOSTED_BASES = ("ministral-3b-latest", "english", "multilingual")
"""Base models of the hosted products whose names code may still use: each stands for the default base model."""


class Settings(BaseSettings):
    """What an operator may choose."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    home: Path = Field(default=Path(DEFAULT_HOME), description="folder of the models that have a name")
    default_base_model: str = Field(
        default="static-en", min_length=1, description="base model of a run that names none, or a hosted product's"
    )
    base_aliases: dict[str, str] = Field(default={}, description="names that stand for base models")
    max_line_bytes: int = Field(default=10 * 2**20, ge=1, description="longest row of a data file, in bytes of UTF-8")
    max_label_chars: int = Field(default=256, ge=1, description="longest name of a label or target")
    max_nesting: int = Field(default=32, ge=1, description="deepest nesting of a JSON row")

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

    def resolve_base(self, name: str | None) -> str:
        """Return the base model that a name stands for; None, and the hosted products' names, mean the default."""
        if name is not None and name in self.base_aliases:
            return self.base_aliases[name]
        if name is None or name in HOSTED_BASES:
            return self.default_base_model
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
        why = f'is not JSON ({error.__cause__}). Write it like {{"english": "static-en"}}'
        raise InvalidSetting(f"The variable {PREFIX}{name.upper()} {why}.", setting=name) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        raise InvalidSetting(f"{_place(name)}: {_why(str(first['type']), str(first['msg']))}.", setting=name) from None


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
