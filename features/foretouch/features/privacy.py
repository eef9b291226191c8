"""Nobody's name, e-mail address or phone number becomes a feature: refused, or hashed with the workspace's key."""

import hashlib
import hmac
import re
from typing import Any, Final

import pandas as pd

from foretouch.core.errors import DataError
from foretouch.core.workspace import Workspace
from foretouch.features.coerce import Faults, is_missing

EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
PHONE: Final = re.compile(r"\+\d[\d\s().-]{6,}\d|\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}|1[3-9]\d{9}")
TELLING: Final = re.compile(
    r"(^|_)(e?mail|e_mail(_address)?|email_address|phone(_number)?|mobile|cell(phone)?|telephone|tel|fax"
    r"|(first|last|full|family|given|middle|sur)_?name|surname|forename|wechat_?(id|openid)|name)$"
    r"|邮箱|电子邮件|手机|电话|姓名|名字|微信号",
    re.IGNORECASE,
)
"""Names of columns that hold a person's name, address or number."""
REFUSED_SHARE: Final = 0.05
"""From this share of telling values on, the whole column is refused; below it, the rows that hold one."""


def pseudonym(workspace: Workspace, value: str) -> str:
    """HMAC-SHA256 (hex) of a value under the workspace's pseudonym key; case and outer spaces do not count."""
    key = workspace.secret("pseudonym").encode()
    return hmac.new(key, value.strip().casefold().encode("utf-8"), hashlib.sha256).hexdigest()


def protect(workspace: Workspace, frame: pd.DataFrame, columns: list[str], table: str, faults: Faults) -> pd.DataFrame:
    """Hashes the columns that the configuration lists, and refuses the others that identify a person.

    Args:
        workspace: Whose key and ``[privacy]`` section.
        frame: The table.
        columns: Which of its columns to look at: ids and attributes.
        table: Its name, for the message.
        faults: Receives rows with a stray address or number.

    Returns:
        The frame with the listed columns replaced by their pseudonyms.

    Raises:
        DataError: A column identifies people and is not listed.
    """
    listed = set(workspace.config.privacy.pseudonymise)
    hashed = {}
    for name in columns:
        values = frame[name]
        present = values[~values.map(is_missing).astype(bool)]
        if name in listed:
            hashed[name] = values.map(lambda value: None if is_missing(value) else pseudonym(workspace, str(value)))
            continue
        texts = present[present.map(lambda value: isinstance(value, str))].astype(str)
        telling = texts[texts.map(identifies)]
        if TELLING.search(name) or (len(present) and len(telling) >= REFUSED_SHARE * len(present)):
            raise DataError(
                f"column {name!r} of {table} identifies people (a name, an e-mail address or a phone number)",
                hint=f'leave the column out, or add "{name}" to pseudonymise under [privacy] in foretouch.toml',
            )
        for row in telling.index:
            faults.add(int(row), name, "identifies a person", f"{name} holds an e-mail address or a phone number")
    return frame.assign(**hashed)


def identifies(value: Any) -> bool:
    """Whether a text is an e-mail address or a phone number."""
    text = str(value).strip()
    return bool(EMAIL.fullmatch(text) or PHONE.fullmatch(text))
