"""The licences and languages that a model card may name: those that the Hugging Face hub knows."""

import difflib
import re
from collections.abc import Iterable

LICENSES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear
c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0
cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl
ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1
lgpl-3.0 lgpl-lr isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by
odbl openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl
deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3
llama4 grok2-community gemma unknown other
"""
"""Separated by spaces: the list of https://huggingface.co/docs/hub/repositories-licenses."""
OTHER = "other"
SPECIAL = ("code", "multilingual")
"""What the hub takes in place of a language."""
TWO_LETTERS = """
aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv
dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie
ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv
mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm
rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr
ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
"""ISO 639-1. The 8,000 of ISO 639-3 are a library's, which takes half a second to load."""


def known_license(name: str) -> str:
    """The hub's identifier of a licence, in lower case. Raises `ValueError` with the nearest."""
    if name.lower() in LICENSES.split():
        return name.lower()
    bare = re.sub(r"[-_ ]+licen[cs]e", "", name.lower()).replace(" ", "-")
    near = _nearest(bare, LICENSES.split())
    advice = f"did you mean {near}? What" if near else "what"
    raise ValueError(
        f'the hub knows no licence "{name}"; {advice} it does not list is `other`, with'
        " license_name and license_link"
    )


def known_language(code: str) -> str:
    """A code of ISO 639-1 or 639-3 in lower case. Raises `ValueError` with the nearest."""
    said = code.lower()
    if said in (*TWO_LETTERS.split(), *SPECIAL):
        return said
    from iso639 import ALL_LANGUAGES

    if any(said == each.part3 for each in ALL_LANGUAGES):
        return said
    near = _language_like(said)
    advice = f"did you mean {near}?" if near else "they are like en, zh and yue"
    raise ValueError(f'"{code}" is no language code of ISO 639; {advice}')


def _language_like(said: str) -> str | None:
    """By the code in zh-CN, by the name in English, or by likeness to what has two letters."""
    from iso639 import ALL_LANGUAGES

    known = {code: code for code in TWO_LETTERS.split()}
    for each in ALL_LANGUAGES:
        short = each.part1 or each.part3
        known |= dict.fromkeys((each.part3, each.part2b, each.name.lower()), short)
    likely = {name: code for name, code in known.items() if name and len(code) == 2}
    return known.get(re.split("[-_ ]", said)[0]) or likely.get(_nearest(said, likely) or "")


def _nearest(said: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(said, list(known), n=1)), None)
