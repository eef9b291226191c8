"""Currencies that can be written: those that Unicode's locale data name."""

from babel.numbers import list_currencies

from foretouch.core.errors import ConfigError


def known_currency(code: str | None) -> str | None:
    """The currency's code in capitals, or none.

    Raises:
        ConfigError: There is no such currency.
    """
    if code is None:
        return None
    if code.upper() not in list_currencies():
        raise ConfigError(f"currency {code!r} is not known", hint="three letters of ISO 4217, such as EUR, USD, CNY")
    return code.upper()
