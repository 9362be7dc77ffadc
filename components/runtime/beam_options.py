"""Say where the Beam parts run: the table `[beam]` of a configuration."""

import dataclasses
from typing import ClassVar

_LOSES_DATA = {
    "multi_threading": "--direct_running_mode=multi_threading loses records and reports success",
    "data_buffer_time_limit_ms": "data_buffer_time_limit_ms > 0 loses records and reports success",
}

# Runners of Beam's that leave something behind, or fetch something, and ours in their place.
_RUNNERS = {
    "local": "ragline.components.runtime.local_runner.LocalRunner",
    "flink": "ragline.components.runtime.cluster_runners.FlinkRunner",
    "spark": "ragline.components.runtime.cluster_runners.SparkRunner",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BeamOptions:
    """Holds the `[beam]` table: where the Beam parts run.

    Attributes:
      runner: name of a Beam runner that loses no records. `DirectRunner` runs on this machine, and
        is started without its attempt to download another engine.
      options: further pipeline options, such as `--direct_num_workers=2`; options that lose records
        are refused. For a runner elsewhere they must say how its workers get ragline:
        `--sdk_container_image=IMAGE`, or an `--environment_type` that needs no image.
    """

    runner: str = "DirectRunner"
    options: tuple[str, ...] = ()

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = []
        if not self.runner:
            mistakes.append("runner: expected the name of a Beam runner, received an empty string")
        elif self._engine == "dask":
            mistakes.append(
                f"runner: {self.runner!r} is refused: it writes empty files and reports success"
            )
        elif not self._is_local and not self._has_image and not self._needs_no_image:
            mistakes.append(
                f"runner: {self.runner!r} starts workers, which need ragline: expected among the "
                "options --sdk_container_image=IMAGE, or --environment_type=LOOPBACK, EXTERNAL or "
                "PROCESS (docs/engines.md)"
            )
        for option in self.options:
            if not option.startswith("--"):
                mistakes.append(f"options: expected --name=value, received {option!r}")
            if option.partition("=")[0] == "--runner":
                mistakes.append(f"options: {option!r} is refused: beam.runner names the runner")
            for word, why in _LOSES_DATA.items():
                if word in option:
                    mistakes.append(f"options: {option!r} is refused: {why}")
        if mistakes:
            raise ValueError("\n".join(mistakes))

    @property
    def arguments(self) -> list[str]:
        """Return the arguments of every Beam pipeline."""
        runner = _RUNNERS.get("local" if self._is_local else self._engine, self.runner)
        # Without an image TFX builds a package of itself for workers elsewhere before every Beam
        # part, in 3 seconds, and leaves 42 MB in the temporary folder.
        image = () if self._has_image else ("--sdk_container_image=none",)
        # Workers import it first, and with it the shim that TFDV needs on older systems.
        return [f"--runner={runner}", "--beam_plugin=ragline.components", *image, *self.options]

    @property
    def _is_local(self) -> bool:
        return self._engine == "fnapi" or self._engine.endswith("direct")

    @property
    def _has_image(self) -> bool:
        return any(option.startswith("--sdk_container_image=") for option in self.options)

    @property
    def _needs_no_image(self) -> bool:
        """Return whether workers are in this process, or started where ragline is installed."""
        kinds = ("LOOPBACK", "EXTERNAL", "PROCESS")
        return any(f"--environment_type={kind}" in self.options for kind in kinds)

    @property
    def _engine(self) -> str:
        """Return the runner as Beam reads it: without case, a package before it and `Runner`."""
        return self.runner.rpartition(".")[2].lower().removesuffix("runner")
