"""Where the files of the model are: a folder, or a hub id resolved to the local snapshot."""

from pathlib import Path


class ModelNotFound(Exception):
    """Neither a folder nor a hub id that can be had; the message says what to do."""


def model_folder(model: str) -> Path:
    """The folder with config.json and the safetensors of `model`; a hub id is downloaded if it is not cached.

    Raises:
        ModelNotFound: there is no such folder, and no such model on the hub (or no way to reach it).
    """
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelNotFound(f"{folder} has no config.json: give the folder of a Hugging Face model")
        return folder.resolve()
    if folder.is_absolute() or model.startswith("."):
        raise ModelNotFound(f"there is no folder {folder}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise ModelNotFound(
            f"'{model}' is no folder here, and the hub gave no such model ({type(error).__name__}); check the name, "
            "the connection, or download it first and give its folder"
        ) from None
