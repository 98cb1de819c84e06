"""The typed arguments of the application builder: what `args` may hold in a Serve config."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.pixels import PictureLimits


class Settings(BaseModel):
    """A group of settings in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(Settings):
    """Which model a deployment serves."""

    factory: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
            description="Import path of a model factory: 'models.demo.factory:load_demo_vae'",
        ),
    ]
    options: Annotated[
        dict[str, Any], Field(description="Keyword arguments of the factory, such as device")
    ] = {}
    stalled_after_s: Annotated[
        float,
        Field(
            gt=0,
            description="A step that takes longer than this, and 20 times longer than steps take, "
            "ends its replica; Serve starts another",
        ),
    ] = 30.0

    def build(self, **facts: Any) -> Any:
        """Import the factory and call it; the model's libraries are imported here, not before.

        Of `facts`, what the deployment knows, a factory is given those that it has arguments for.
        """
        module, _, name = self.factory.partition(":")
        factory = getattr(importlib.import_module(module), name)
        taken = inspect.signature(factory).parameters
        known = {key: value for key, value in facts.items() if key in taken}
        return factory(**{**known, **self.options})


class LimitSettings(Settings):
    """What is refused of an uploaded picture."""

    # The proxy stops reading a body at 32 MB (body_bound.py); in base64 a file takes four thirds.
    max_bytes: Annotated[
        int, Field(gt=0, le=23_000_000, description="Bytes of the picture file")
    ] = 20_000_000
    min_side_px: Annotated[int, Field(gt=0, description="Shorter side, at least")] = 64
    max_side_px: Annotated[int, Field(gt=0, description="Longer side, at most")] = 8192
    max_pixels: Annotated[int, Field(gt=0, description="Width times height")] = 50_000_000
    max_aspect: Annotated[float, Field(ge=1, description="Longer by shorter side")] = 4.0

    def picture_limits(self) -> PictureLimits:
        """Return them as the models layer takes them."""
        return PictureLimits(**self.model_dump())


class LiveSettings(Settings):
    """How the ingress admits and waits; `user_config` in a Serve config changes it in flight.

    Limits are those of one ingress replica: divide what the whole service may hold by their number.
    """

    request_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            description="Deadline of a request; a caller may shorten it. Keep it under Serve's: "
            "http_options.request_timeout_s and graceful_shutdown_timeout_s",
        ),
    ] = 120.0
    upload_timeout_s: Annotated[
        float, Field(gt=0, description="Time for a request's body to arrive")
    ] = 30.0
    event_ping_s: Annotated[
        float, Field(gt=0, le=15, description="An event stream is never silent for longer")
    ] = 10.0
    max_admitted_requests: Annotated[
        int,
        Field(
            gt=0,
            description="Requests under way in one ingress replica: so many that need diffusion, "
            "and so many that need the VAE alone",
        ),
    ] = 64
    max_reading: Annotated[
        int, Field(gt=0, description="Bodies read at once in one ingress replica")
    ] = 32
    max_requests_per_key: Annotated[
        int | None,
        Field(
            gt=0,
            description="Places that one API key may hold in one ingress replica; in any case at "
            "most one part in k+1 while k keys are calling",
        ),
    ] = None
    requests_per_minute_per_key: Annotated[
        float | None,
        Field(gt=0, description="Rate of one API key in one ingress replica; no limit when absent"),
    ] = None


class IngressSettings(LiveSettings):
    """How the ingress admits, waits, retries and decodes."""

    max_attempts: Annotated[
        int, Field(ge=1, le=5, description="Tries of one set when its replica dies")
    ] = 3
    max_split: Annotated[
        int,
        Field(
            ge=1,
            le=10,
            description="Chunks of one diffusion set, made at the same time by replicas that are "
            "idle; 1 never splits",
        ),
    ] = 2
    # 50 megapixels take up to 0.34 GB as PNG or JPEG while they are decoded, as WebP 0.78 GB.
    max_decoding: Annotated[
        int, Field(ge=1, description="Processes that decode pictures in one ingress replica")
    ] = 2

    def changed(self, user_config: Mapping[str, Any]) -> Self:
        """Return these settings with some of the live ones changed.

        Raises:
            pydantic.ValidationError: a key is unknown, not live, or its value out of range.
        """
        live = {name: getattr(self, name) for name in LiveSettings.model_fields}
        checked = LiveSettings.model_validate({**live, **user_config})
        return self.model_copy(update=dict(checked))


class AppSettings(Settings):
    """All arguments of `deployments.app:build_app`."""

    vae: ModelSettings
    stable_diffusion: ModelSettings
    ingress: IngressSettings = IngressSettings()
    limits: LimitSettings = LimitSettings()
    api_keys_file: Annotated[
        str | None,
        Field(description="File of hashed API keys on the nodes of the ingress; `make api-key`"),
    ] = None
    allow_anonymous: Annotated[
        bool, Field(description="Serve anybody who reaches the port; for one machine's own use")
    ] = False

    anonymous_hosts: Annotated[
        list[str],
        Field(
            description="Names, besides localhost and 127.0.0.1, by which callers without keys "
            "reach the service; pages of other names are refused"
        ),
    ] = []

    @model_validator(mode="after")
    def _knows_its_callers(self) -> Self:
        if (self.api_keys_file is None) != self.allow_anonymous:
            raise ValueError(
                "set api_keys_file (`make api-key` makes one), or allow_anonymous: true for a "
                "service on 127.0.0.1; one of them, not both"
            )
        return self
