"""`bedside bundle`: keys, signatures, verification."""

from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console

app = typer.Typer(no_args_is_help=True, help="Sign a bundle that was looked at, and verify the signature.")

Folder = Annotated[Path, typer.Argument(help="The bundle's directory.")]


@app.command()
def key(
    private: Annotated[Path, typer.Argument(help="The file to write the private key to, where nothing is yet.")],
    *,
    public: Annotated[Path | None, typer.Option(help="The public key's file; default: PRIVATE.pub.")] = None,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Ask for a password and encrypt the private key.")] = False,
) -> None:
    """Make a key pair: the private key signs and stays with its owner, the public key goes to the servers."""
    from models.signing_keys import KeyFileError, make_key_pair

    public = public or private.with_name(f"{private.name}.pub")
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True).encode() if encrypt else None
    try:
        make_key_pair(private, public, password=password)
    except KeyFileError as error:
        fail(error)
    new_console().print(f"Private key {private}, public key {public}.", markup=False, soft_wrap=True)


@app.command()
def sign(
    path: Folder,
    *,
    key: Annotated[Path, typer.Option(help="Private key as PEM; asks for its password if it is encrypted.")],
) -> None:
    """Load a bundle as a server does, then sign all its files; the signature is written into it as model.sig."""
    from bedside.signing import sign_bundle
    from models.bundle import BundleError
    from models.catalog import UnknownModelError
    from models.signing_keys import KeyFileError, PasswordNeededError

    try:
        try:
            signed = sign_bundle(path, key)
        except PasswordNeededError:
            signed = sign_bundle(path, key, password=typer.prompt("Password", hide_input=True).encode())
    except (BundleError, KeyFileError, UnknownModelError) as error:
        fail(error)
    new_console().print(f"Signed: {signed.describe()}", markup=False, soft_wrap=True)


@app.command()
def verify(path: Folder, *, key: Annotated[Path, typer.Option(help="Public key as PEM.")]) -> None:
    """Verify that a bundle is, byte for byte, what the holder of the private key signed; end with 1 if not."""
    from bedside.signing import verify_bundle
    from models.bundle import BundleError
    from models.catalog import UnknownModelError
    from models.signing_keys import KeyFileError

    try:
        verified = verify_bundle(path, key)
    except (BundleError, KeyFileError, UnknownModelError) as error:
        fail(error)
    new_console().print(f"Verified: {verified.describe()}", markup=False, soft_wrap=True)
