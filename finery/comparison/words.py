"""What a report says, in each of its languages; a test holds them to the same keys."""

from typing import Any

Language = str
WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "The models side by side",
        "lead": "{count} models answered {samples} test questions.",
        "outcome": "{name} against {other}: better in {better}, worse in {worse} of {count}"
        " numbers; no difference shown in {open}.",
        "models": "Models",
        "model": "model",
        "dataset": "Dataset {name}: {samples} samples",
        "all": "All datasets: {samples} samples",
        "differences": "Differences",
        "against": "{name} against {other}",
        "number": "number",
        "difference": "difference",
        "verdict": "verdict",
        "better": "better",
        "worse": "worse",
        "different": "different",
        "equal": "the same",
        "open": "no difference shown",
        "recovery": "Recovery",
        "recovery_note": "What is left of {other}'s number, in per cent: 100 % is no loss. Of"
        " perplexity, which should be low, {other}'s by the model's.",
        "flips": "Answers that flipped",
        "flips_note": "{better} became better, {worse} became worse.",
        "flips_shown": "Those that changed most: {shown} of {count}.",
        "no_flips": "None: every answer is as good as the other's.",
        "became_better": "better",
        "became_worse": "worse",
        "reference": "reference",
        "how": "How to read this",
        "how_interval": "In brackets: where a number would be with other test samples like these,"
        " in 95 of 100 cases. Bootstrap over the samples, {resamples} resamples, seed {seed}; of"
        " yes or no, Wilson's interval. BLEU, chrF and the labels' F1 are no means over samples and"
        " have none.",
        "how_difference": "Differences are paired, for both models answered the same questions; pp"
        " are points of per cent. p is how likely so large a difference is if there is none (random"
        " signs). Up to 5 % it counts as shown. Of twenty comparisons without a difference, one is"
        " expected to show one.",
        "how_better": "Less is better of perplexity and unfinished, more of the others; of length"
        " neither is.",
        "how_flips": "Marked words are not in the other's answer. An answer is better or worse by"
        " its keyword_match, or by exact_match where a question has no keywords.",
        "only_one": "There is one model: nothing to compare it with.",
    },
    "zh": {
        "title": "模型对比",
        "lead": "{count} 个模型回答了 {samples} 个测试问题。",
        "outcome": "{name} 对比 {other}：{count} 个指标中 {better} 个更好，{worse} 个更差，"
        "{open} 个未见差异。",
        "models": "各模型指标",
        "model": "模型",
        "dataset": "数据集 {name}：{samples} 个样本",
        "all": "全部数据集：{samples} 个样本",
        "differences": "差异",
        "against": "{name} 对比 {other}",
        "number": "指标",
        "difference": "差值",
        "verdict": "结论",
        "better": "更好",
        "worse": "更差",
        "different": "不同",
        "equal": "相同",
        "open": "未见差异",
        "recovery": "保留率",
        "recovery_note": "保留了 {other} 指标的百分之几：100 % 即无损失。困惑度越低越好，因此取"
        " {other} 的值除以该模型的值。",
        "flips": "结果翻转的回答",
        "flips_note": "{better} 个变好，{worse} 个变差。",
        "flips_shown": "只列出变化最大的：{count} 个中的 {shown} 个。",
        "no_flips": "没有：每个回答都同样好。",
        "became_better": "变好",
        "became_worse": "变差",
        "reference": "参考答案",
        "how": "如何阅读",
        "how_interval": "括号内：换用另一批类似的测试样本时，100 次中有 95 次指标所在的范围。"
        "对样本做自助法（bootstrap），重采样 {resamples} 次，随机种子 {seed}；是非型指标用威尔逊"
        "（Wilson）区间。BLEU、chrF 和标签的 F1 不是样本均值，没有区间。",
        "how_difference": "差异是配对的：两个模型回答了同样的问题；pp 为百分点。p 是在没有差异时"
        "出现如此大差值的概率（随机符号检验）；不超过 5 % 即视为有差异。二十次没有差异的比较中，"
        "预计有一次显示差异。",
        "how_better": "perplexity 和 unfinished 越低越好，其余越高越好；length 无好坏之分。",
        "how_flips": "标记的词是对方回答中没有的。回答的好坏依据 keyword_match；问题没有关键词时"
        "依据 exact_match。",
        "only_one": "只有一个模型，没有可对比的。",
    },
}


def words(language: Language) -> dict[str, str]:
    """What is said in a language."""
    return WORDS[language]


def said(language: Language, key: str, **values: Any) -> str:
    """One of the texts, with its values in place."""
    return WORDS[language][key].format(**values)
