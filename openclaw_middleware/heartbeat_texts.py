"""What pages say without a script, in the languages the client speaks, too. Only words."""

from __future__ import annotations

_UNUSED = {
    "en": "There is no warning without JavaScript: your session ends at {time} "
    "unless you load a page before.",
    "de": "Ohne JavaScript gibt es keine Warnung: Ihre Sitzung endet um {time}, "
    "wenn Sie vorher keine Seite laden.",
    "fr": "Sans JavaScript, il n’y a pas d’avertissement : votre session se termine à {time} "
    "si vous ne chargez aucune page avant.",
    "es": "Sin JavaScript no hay aviso: su sesión termina a las {time} "
    "si no carga ninguna página antes.",
    "zh": "未启用 JavaScript 时没有提醒：如果在此之前没有打开任何页面，您的会话将于 {time} 结束。",
    "ar": "لا يظهر أي تنبيه من دون JavaScript: تنتهي جلستك في {time} ما لم تفتح صفحة قبل ذلك.",
}
_ALWAYS = {
    "en": "There is no warning without JavaScript: your session ends at {time}. "
    "Save your work before.",
    "de": "Ohne JavaScript gibt es keine Warnung: Ihre Sitzung endet um {time}. "
    "Sichern Sie Ihre Arbeit vorher.",
    "fr": "Sans JavaScript, il n’y a pas d’avertissement : votre session se termine à {time}. "
    "Enregistrez votre travail avant.",
    "es": "Sin JavaScript no hay aviso: su sesión termina a las {time}. Guarde antes su trabajo.",
    "zh": "未启用 JavaScript 时没有提醒：您的会话将于 {time} 结束。请提前保存您的工作。",
    "ar": "لا يظهر أي تنبيه من دون JavaScript: تنتهي جلستك في {time}. احفظ عملك قبل ذلك.",
}
LANGUAGES = frozenset(_UNUSED)


def end_of_session(language: str, *, idle: bool) -> str:
    """The sentence with `{time}` in it.

    Args:
        idle: loading a page moves the end; else nothing does.
    """
    return (_UNUSED if idle else _ALWAYS)[language]
