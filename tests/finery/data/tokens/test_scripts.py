import pytest

from finery.data.tokens.scripts import scripts


@pytest.mark.parametrize(
    "texts, name",
    [
        (["Who?", "Me."], "Latin"),
        (["Où ?"], "Latin"),
        (["灯塔叫什么名字？"], "Han"),
        (["灯台 の 名前"], "Kana"),
        (["등대"], "Hangul"),
        (["Маяк"], "Cyrillic"),
        (["Φάρος"], "Greek"),
        (["منارة"], "Arabic"),
        (["מגדלור"], "Hebrew"),
        (["प्रकाशस्तंभ"], "Devanagari"),
        (["ประภาคาร"], "Thai"),
        (["ფარი"], "other"),
        (["42 + 1 = 43", "👩‍👧 …"], "none"),
        ([], "none"),
        (["What is 灯塔 in English?"], "Latin"),
        (["请解释这个词的意思：light"], "Han"),
    ],
)
def test_the_script_of_most_letters(texts: list[str], name: str):
    assert scripts([texts]) == [name]
    assert scripts([["Who?"], texts, ["灯塔"]]) == ["Latin", name, "Han"]


def test_no_samples():
    assert scripts([]) == []
