"""One typed settings class: command line over environment (UNLEARN_*) over an optional TOML file."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from gateway.audience import Audience
from gateway.forget.address import parse_address
from gateway.security.rates import RATE_PATTERN
from unlearn_engine.demo import BASE_PATH

SEALING_SETTINGS = ("sealing_key_file", "sealing_keys", "sealing_key_command")


class Settings(BaseSettings):
    """What an operator may set. Unknown keys in the TOML file are errors."""

    model_config = SettingsConfigDict(env_prefix="UNLEARN_", extra="forbid", validate_default=True)

    model: str = Field(str(BASE_PATH), description="path of a Hugging Face model folder, or a hub id")
    served_model_name: str | None = Field(
        None, description="name in the OpenAI API; default: the folder's or hub id's last part"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    data_dir: Path = Field(Path("data"), description="adapters, caches and the embedded Redis live here")
    redis_url: str | None = Field(
        None, description="Redis >= 6.2, a Sentinel or a Cluster; default: embedded in the data directory"
    )
    adapters_url: str | None = Field(
        None,
        description="storage that replicas and workers on several machines share, for fsspec (s3://bucket/adapters, a "
        "folder); default: they share the data directory",
    )
    worker: bool = Field(True, description="start an erasure worker beside the gateway")
    worker_threads: PositiveInt = Field(2, description="torch threads of the erasure worker")
    worker_device: str = Field("cpu", description="where the erasure worker holds the model: cpu, cuda or cuda:N")
    worker_dtype: Literal["float32", "bfloat16"] = Field("float32", description="of the erasure worker's base weights")
    worker_quantise: Literal[4, 8] | None = Field(None, description="bits of the erasure worker's base weights")
    worker_checkpointing: bool = Field(False, description="the erasure worker computes twice to save memory")
    auth: bool = Field(True, description="ask for API keys; without, everyone may do everything: on loopback only")
    bootstrap_key: SecretStr | None = Field(None, description="an API key with every scope that exists from the start")
    sealing_key_file: Path | None = Field(
        None, description="keys of encryption at rest; default: a file in the data directory, made at the first start"
    )
    sealing_keys: SecretStr | None = Field(None, description="these keys themselves, as in the file")
    sealing_key_command: str | None = Field(None, description="a command that prints them: a KMS, a vault")
    signing_key_file: Path | None = Field(
        None, description="P-256 key (PEM) that signs certificates; default: one in the data directory, made at start"
    )
    oidc_issuer: str | None = Field(None, description="OpenID Connect provider whose tokens are taken beside API keys")
    oidc_audience: str | None = Field(None, description="for whom they must be; needed with an issuer")
    oidc_jwks_url: str | None = Field(None, description="where its keys are; default: as the provider says itself")
    oidc_scopes_claim: str = Field("scope", description="the claim that says what a holder may do")
    oidc_scopes: dict[str, list[str]] = Field(
        default_factory=dict, description="scopes for a value of that claim; default: the values are scopes"
    )
    oidc_audiences_claim: str | None = Field(
        None, description="the claim with the audiences of a holder; default: none, so that everything is withheld"
    )
    oidc_audiences: dict[str, list[Audience]] = Field(
        default_factory=dict, description="audiences for a value of that claim; default: the values are audiences"
    )
    oidc_rate_claim: str | None = Field(None, description="the claim with a holder's rate, like 600/minute")
    oidc_rate: str | None = Field(
        None, pattern=RATE_PATTERN, description="the rate of holders whose token has none; default: unlimited"
    )
    oidc_concurrency_claim: str | None = Field(
        None, description="the claim with how many requests a holder may have under way at a time, per replica"
    )
    oidc_concurrency: PositiveInt | None = Field(
        None, description="the same for holders whose token says none; default: unlimited"
    )
    allow_guards_off: bool = Field(
        False, description="honour the header X-Unlearn-Guards: off | base (measurement only: it bypasses the guards)"
    )
    callback_hosts: list[str] = Field(
        default_factory=list, description="hosts that may be told of changes; *.example.org: all under it"
    )
    callback_loopback: bool = Field(
        False, description="callbacks may go to this very machine, without TLS: for tests and the demo"
    )
    opendsr_domain: str = Field("localhost", description="the domain under which OpenDSR controllers reach this")
    opendsr_certificate_file: Path | None = Field(
        None, description="certificate (PEM) of the signing key for OpenDSR; default: a self-signed one"
    )
    training_inputs_kept_s: float = Field(
        604_800.0, ge=0, description="what clients gave for an erasure alone is deleted so long after it: a week"
    )
    max_staleness_s: PositiveFloat = Field(60.0, description="not ready after so many seconds without the store")
    drain_timeout_s: PositiveFloat = Field(30.0, description="on SIGTERM, requests in flight get so many seconds")
    guard_input: Literal["twin", "eco"] = Field(
        "twin",
        description="a target's name in a prompt becomes a never-seen one; eco: its embeddings are corrupted",
    )
    hops: bool = Field(
        True,
        description="ask the model whom a prompt means by a relation (the mentor of S), so that it is guarded, too",
    )
    interviews: bool = Field(
        True,
        description="ask the model what it knows of somebody as soon as the guard is on, before a worker does",
    )
    facts_at_rest: Literal["plain", "hashed"] = Field(
        "plain", description="how what the model knows of subjects lies in Redis; hashed: as keyed hashes only"
    )
    facts_key_file: Path | None = Field(
        None, description="the key of those hashes, 32 bytes; default: facts.key in the data directory, made if missing"
    )
    descriptions: Literal["recall", "precision"] = Field(
        "recall", description="of prompts that describe somebody without a name: find most, or take few wrongly"
    )
    encoder: str = Field(
        "auto",
        description="finds descriptions in other words: auto (English words), none, a table's file or a model's folder",
    )
    sampled_prompts: int = Field(
        1000,
        ge=0,
        le=10_000,
        description="of the latest prompts, so many are kept in memory (8 kB each at most) for dry runs; 0: none",
    )
    verbose: bool = Field(False, description="show the engine's own log")

    @field_validator("redis_url")
    @classmethod
    def _an_address(cls, url: str | None) -> str | None:
        if url is not None:
            parse_address(url)
        return url

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if sum(getattr(self, name) is not None for name in SEALING_SETTINGS) > 1:
            raise ValueError(f"give one of {', '.join(SEALING_SETTINGS)}")
        return self

    @model_validator(mode="after")
    def _tokens_for_somebody(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("give both oidc_issuer and oidc_audience: tokens for others must not be taken")
        return self

    @model_validator(mode="after")
    def _anonymous_only_at_home(self) -> Self:
        if not self.auth and not _is_loopback(self.host):
            raise ValueError(
                f"--no-auth lets everyone who reaches {self.host} do everything: it is allowed on 127.0.0.1 only"
            )
        return self

    @property
    def model_name(self) -> str:
        """The name under which the OpenAI API offers the model."""
        if self.served_model_name:
            return self.served_model_name
        if Path(self.model).resolve() == BASE_PATH.resolve():
            return "demo"
        return Path(self.model).name

    @property
    def adapters_dir(self) -> Path:
        """Where verified adapters are stored by digest."""
        return self.data_dir.resolve() / "adapters"

    @property
    def cache_dir(self) -> Path:
        """What can be computed again: layer maps, what the base model says of others."""
        return self.data_dir.resolve() / "cache"

    @property
    def facts_key_path(self) -> Path:
        """The file with the key under which facts are hashed. Who shares a Redis must share it."""
        return (self.facts_key_file or self.data_dir / "facts.key").resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line first, then environment, then the TOML file named by `config`."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_settings(config: Path | None, **given: Any) -> Settings:
    """Settings from the command line (`given`, None = not set), the environment and `config`.

    Raises:
        pydantic.ValidationError: a value does not fit, or the file has an unknown key.
        FileNotFoundError: there is no such file.
    """
    if config is not None and not config.is_file():
        raise FileNotFoundError(f"no settings file at {config}")
    chosen = {name: value for name, value in given.items() if value is not None}

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    return Settings(**FromFile(**chosen).model_dump())
