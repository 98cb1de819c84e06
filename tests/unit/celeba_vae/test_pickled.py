"""Checkpoints of three kinds give the same bits; whatever else a file holds, nothing runs."""

import io
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.celeba_vae import pickled
from models.celeba_vae.checkpoint import read_network
from models.celeba_vae.pickled import CheckpointError, read_state_dict
from tests.unit.celeba_vae.conftest import SMALL, Published, published_names, trained

pytestmark = pytest.mark.heavy

HUB = "def entry():\n    open({marker!r}, 'w').close()\n"


class Command:
    """A pickle that calls `function(*arguments)` as soon as it is loaded."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _by_shell(marker: Path) -> Command:
    return Command(os.system, f"touch {marker}")


def _by_eval(marker: Path) -> Command:
    return Command(eval, f"open({str(marker)!r}, 'w').close()")


def _by_hub(marker: Path) -> Command:
    (marker.parent / "hubconf.py").write_text(HUB.format(marker=str(marker)))
    return Command(torch.hub._load_local, str(marker.parent), "entry")


HOSTILE = {
    "posix.system": _by_shell,
    # Protocol 2 writes Python 2's names; torch reads them back as today's.
    "builtins.eval": _by_eval,
    "torch.hub._load_local": _by_hub,
}


@torch.inference_mode()
def test_the_published_kind_gives_the_same_bits(published: Published) -> None:
    with zipfile.ZipFile(published.file) as archive:
        said = archive.read("vae_model_20/data.pkl")
    assert b"cvae\nVAE\n" in said
    assert b"cuda:0" in said
    network = read_network(published.file)
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_077_155
    images = torch.rand(2, 3, 150, 150)
    for ours, theirs in zip(network.encode(images), published.model.encode(images), strict=True):
        assert torch.equal(ours, theirs)
    latents = 3 * torch.randn(2, 128)
    assert torch.equal(network.decode(latents), published.model.decode(latents))


@pytest.mark.parametrize("name", ["state.pth", "state.pt", "model.safetensors", "lies.pth"])
def test_the_other_kinds_give_the_same_weights(name: str, small: Published, tmp_path: Path) -> None:
    state = small.model.state_dict()
    if name in ("model.safetensors", "lies.pth"):
        save_file(state, tmp_path / name)
    else:
        torch.save(state, tmp_path / name)
    _assert_same(read_state_dict(tmp_path / name, SMALL), state)
    _assert_same(read_state_dict(small.file, SMALL), state)


def _assert_same(read: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    assert set(read) == set(state)
    for key, value in read.items():
        assert torch.equal(value, state[key]), key
        assert value.dtype == state[key].dtype
        assert value.is_contiguous()
        assert not value.requires_grad


def test_a_module_of_an_older_torch_loads_too(tmp_path: Path) -> None:
    with published_names() as like:
        model = trained(SMALL, like)
        for module in model.modules():
            for name in ("_parameters", "_buffers", "_modules"):
                module.__dict__[name] = OrderedDict(module.__dict__[name])
            # Came with later versions of torch than the published file's.
            module.__dict__.pop("_state_dict_pre_hooks")
            module.__dict__.pop("_backward_pre_hooks")
        torch.save(model, tmp_path / "old.pth")
    read = read_state_dict(tmp_path / "old.pth", SMALL)
    assert torch.equal(read["fc_mu.weight"], model.fc_mu.weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(
    dtype: torch.dtype, small: Published, tmp_path: Path
) -> None:
    state = small.model.to(dtype).state_dict()
    save_file(state, tmp_path / "model.safetensors")
    read = read_state_dict(tmp_path / "model.safetensors", SMALL)
    assert read["fc_mu.weight"].dtype == torch.float32
    assert torch.equal(read["fc_mu.weight"], state["fc_mu.weight"].float())


def test_attributes_hung_on_a_tensor_are_not_called(small: Published, tmp_path: Path) -> None:
    state = dict(small.model.state_dict())
    trap = nn.Parameter(state["fc_mu.bias"].clone())
    trap.detach = trap.to = trap.shape_of = "not callable"  # type: ignore
    torch.save({**state, "fc_mu.bias": trap}, tmp_path / "trap.pth")
    assert torch.equal(
        read_state_dict(tmp_path / "trap.pth", SMALL)["fc_mu.bias"], state["fc_mu.bias"]
    )


@pytest.mark.parametrize("place", ["whole", "state dict", "nested", "attribute", "protocol 4"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_runs_nothing(
    name: str, place: str, small: Published, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    command = HOSTILE[name](marker)
    file = tmp_path / "hostile.pth"
    state: dict[str, Any] = dict(small.model.state_dict())
    with published_names() as like:
        model = trained(SMALL, like)
        model.extra = command
        content = {
            "whole": command,
            "state dict": {**state, "fc_mu.bias": command},
            "nested": {"state_dict": {**state, "more": [{"deep": command}]}},
            "attribute": model,
            "protocol 4": command,
        }[place]
        torch.save(content, file, pickle_protocol=4 if place == "protocol 4" else 2)
        # The file is armed: torch's unrestricted load runs it.
        torch.load(file, weights_only=False)
    assert marker.exists()
    marker.unlink()
    said = "cannot be read" if place == "protocol 4" else rf"hostile\.pth asks for {name}, .*copy$"
    with pytest.raises(CheckpointError, match=said):
        read_state_dict(file, SMALL)
    assert not marker.exists()


def test_the_list_is_made_before_anything_is_loaded(
    small: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(_by_shell(tmp_path / "ran"), small.file)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it was loaded"))
    with pytest.raises(CheckpointError, match=r"posix\.system"):
        read_state_dict(small.file, SMALL)


def test_a_class_outside_the_list_is_named_however_harmless(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Dropout()), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"activation\.ReLU, torch\.nn\.modules\.dropout"):
        read_state_dict(tmp_path / "other.pth", SMALL)


def test_the_allowed_classes_are_few_and_never_built(
    small: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(pickled.ALLOWED_GLOBALS) == 8
    monkeypatch.setattr(nn.Conv2d, "__setstate__", lambda *a: pytest.fail("a real layer"))
    monkeypatch.setattr(nn.BatchNorm2d, "__setstate__", lambda *a: pytest.fail("a real layer"))
    read_state_dict(small.file, SMALL)


def test_torchs_own_list_is_left_as_it_was(small: Published, tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "other.pth")
    read_state_dict(small.file, SMALL)
    with pytest.raises(CheckpointError, match="does not fit"):
        read_state_dict(tmp_path / "other.pth", SMALL)
    for file in (small.file, tmp_path / "other.pth"):
        assert torch.serialization.get_unsafe_globals_in_checkpoint(file)


def _one_byte_changed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _deflated(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    return buffer.getvalue()


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "one byte changed": (_one_byte_changed, "damaged"),
    "cut short": (lambda content: content[: len(content) // 2], "damaged"),
    "compressed": (_deflated, "another kind"),
    "an archive of something else": (lambda content: b"PK\x03\x04" + bytes(100), "another kind"),
    "empty": (lambda content: b"", "it is empty; fetch it again"),
    "a web page": (lambda content: b"\n<!DOCTYPE html><title>404</title>", "it is a web page"),
    "a text": (lambda content: b"version https://git-lfs.github.com/spec/v1", "neither an archive"),
    "a torn safetensors": (lambda content: b"\x40" + bytes(7) + b'{"a":', "as safetensors"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_a_sentence(damage: str, small: Published) -> None:
    spoil, said = DAMAGE[damage]
    small.file.write_bytes(spoil(small.file.read_bytes()))
    with pytest.raises(CheckpointError, match=rf"vae_model_20\.pth .*{said}"):
        read_state_dict(small.file, SMALL)


def test_safetensors_cut_short_are_a_sentence(small: Published, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file(small.model.state_dict(), file)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="it is damaged; fetch or copy it again"):
        read_state_dict(file, SMALL)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("kind", ["module", "hostile", "plain"])
def test_a_bare_pickle_is_refused_unread(kind: str, tmp_path: Path) -> None:
    file, marker = tmp_path / "old.pth", tmp_path / "ran"
    with published_names() as like:
        content = trained(SMALL, like) if kind == "module" else _by_shell(marker)
        if kind == "plain":
            file.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, file, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"old\.pth .* bare pickle, .* save it again"):
        read_state_dict(file, SMALL)
    assert not marker.exists()


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_no_file_is_a_sentence(place: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a file: give the path"):
        read_state_dict(tmp_path / place, SMALL)


def _changed(key: str, change: Callable[[Tensor], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update({key: change(state[key])})


MISFITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "missing": (lambda state: state.pop("fc_mu.bias"), r"lacks fc_mu\.bias;"),
    "many missing": (
        lambda state: [state.pop(key) for key in list(state) if key.startswith("decoder.")],
        r"lacks decoder\.0\.0\.weight, .* and 11 more;",
    ),
    "extra": (lambda state: state.update(more=torch.ones(1)), "has more too many;"),
    "both": (
        lambda state: state.update({"fc_mu.b": state.pop("fc_mu.bias")}),
        r"lacks fc_mu\.bias and it has fc_mu\.b too many",
    ),
    "no text as a key": (lambda state: state.update({3: torch.ones(1)}), "has 3 too many"),
    "shape": (_changed("fc_mu.bias", lambda t: t[:5]), r"is \(5,\) in place of \(6,\)"),
    "broadcastable shape": (_changed("fc_mu.bias", lambda t: t[:1]), r"is \(1,\) in place"),
    "integers": (_changed("fc_mu.bias", lambda t: t.long()), r"fc_mu\.bias is torch\.int64 in"),
    "complex": (_changed("fc_mu.bias", lambda t: t.cfloat()), r"is torch\.complex64 in place of"),
    "a counter of floats": (
        _changed("encoder.0.1.num_batches_tracked", lambda t: t.float()),
        r"tracked is torch\.float32 in place of torch\.int64",
    ),
    "sparse": (_changed("fc_mu.weight", lambda t: t.to_sparse()), r"is a torch\.sparse_coo"),
    "no values": (_changed("fc_mu.weight", lambda t: t.to("meta")), "on meta, without values"),
    "no tensor": (_changed("fc_mu.bias", lambda t: t.tolist()), "is a list, not a tensor"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("misfit", MISFITS)
def test_what_does_not_fit_is_named(misfit: str, small: Published, tmp_path: Path) -> None:
    spoil, said = MISFITS[misfit]
    state: dict[str, Any] = dict(small.model.state_dict())
    spoil(state)
    torch.save(state, tmp_path / "state.pth")
    with pytest.raises(CheckpointError, match=rf"state\.pth does not fit .*{said}"):
        read_state_dict(tmp_path / "state.pth", SMALL)


@pytest.mark.parametrize("kind", ["module", "state dict", "safetensors", "too large for float32"])
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_values_that_are_no_numbers_are_refused(
    value: float, kind: str, small: Published, tmp_path: Path
) -> None:
    file = tmp_path / "bad"
    with published_names() as like, torch.no_grad():
        model = trained(SMALL, like)
        model.final_layer[0].weight[0, 0, 1, 1] = value  # type: ignore[index, union-attr]
        if kind == "module":
            torch.save(model, file)
        elif kind == "state dict":
            torch.save(model.state_dict(), file)
        elif kind == "safetensors":
            save_file(model.state_dict(), file)
        else:
            state = model.double().state_dict()
            state["final_layer.0.weight"].fill_(1e300)
            torch.save(state, file)
    with pytest.raises(CheckpointError, match=r"bad has values in final_layer\.0\.weight"):
        read_state_dict(file, SMALL)


def _nested(depth: int) -> nn.Module:
    module: nn.Module = nn.Sigmoid()
    for _ in range(depth):
        module = nn.Sequential(module)
    return module


SPOILT_MODULES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a missing layer": (lambda model: delattr(model, "fc_var"), r"lacks fc_var\.weight"),
    "an extra layer": (lambda model: setattr(model, "more", nn.Linear(2, 2)), r"has more\.weight"),
    "no bias": (lambda model: setattr(model.fc_mu, "bias", None), r"lacks fc_mu\.bias"),
    "inside itself": (lambda model: model._modules.update(again=model), r"again\. is no module"),
    "a layer that is none": (lambda model: model._modules.update(fc_mu="x"), r"fc_mu\. is no modu"),
    "very deep": (
        lambda model: model.add_module("more", _nested(2000)),
        r"more\.0\.0\.0\. is no module of its own, or too deep",
    ),
    "no layers": (lambda model: model.__dict__.update(_modules=None), "it lacks encoder"),
    "a layer for a tensor": (
        lambda model: model._buffers.update({"fc_mu.bias": model.fc_mu}),
        r"names fc_mu\.bias twice",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT_MODULES)
def test_a_spoilt_module_is_named(spoilt: str, tmp_path: Path) -> None:
    spoil, said = SPOILT_MODULES[spoilt]
    limit = sys.getrecursionlimit()
    with published_names() as like:
        model = trained(SMALL, like)
        spoil(model)
        sys.setrecursionlimit(50_000)
        torch.save(model, tmp_path / "model.pth")
        sys.setrecursionlimit(limit)
    with pytest.raises(CheckpointError, match=rf"model\.pth .*{said}"):
        read_state_dict(tmp_path / "model.pth", SMALL)


@pytest.mark.parametrize("content", [[1, 2], torch.ones(3), 7])
def test_what_is_neither_module_nor_state_dict_is_named(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "thing.pth")
    with pytest.raises(CheckpointError, match=r"holds a .*: save the model or its state dict"):
        read_state_dict(tmp_path / "thing.pth", SMALL)
