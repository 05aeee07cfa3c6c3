"""Rows of the alpaca format about nothing: English and Chinese sentences of common words."""

import json
import random
from pathlib import Path

ENGLISH = """
harbour lighthouse keeper bakery balloon morning evening window garden market river bridge
mountain valley station library teacher student doctor letter story question answer reason
number picture colour music language country village weather summer winter machine engine
kitchen recipe butter flour sugar water bread cheese table chair paper pencil ticket journey
captain sailor island forest animal bird horse shadow signal compass anchor lantern meadow
small large bright dark early late gentle heavy simple careful honest famous quiet curious
ancient modern common strange useful green yellow silver wooden broken hidden open warm cold
carry build bring follow explain compare describe measure repair remember travel listen write
answer choose collect count cross deliver discover divide drive finish gather guess improve
invite join keep learn mark mix move notice order paint plan point pull push reach repeat
return save search share show sort speak start stay study teach test touch trade turn wait
walk watch wonder about above across after against along among around because before behind
below beside between beyond during every inside near often outside over since through toward
under until upon usually while within without almost always another better easily finally
""".split()  # noqa: SIM905
CHINESE = """
我们 城市 发展 今天 学习 问题 世界 花园 音乐 电脑 经验 因此 但是 如果 已经 可以 需要 认为 方法 结果
时间 老师 学生 医生 朋友 孩子 故事 图书馆 火车站 机场 市场 厨房 面包 水果 蔬菜 天气 春天 夏天 秋天
河流 桥梁 山谷 森林 海洋 灯塔 船长 旅行 地图 历史 文化 科学 技术 数学 语言 文章 句子 词语 答案 原因
帮助 解释 比较 描述 选择 记录 测量 修理 建造 收集 提高 改变 保护 使用 参加 准备 完成 开始 继续 结束
美丽 重要 简单 复杂 安静 温暖 寒冷 古老 现代 有趣 健康 快乐 容易 困难 清楚 特别 一般 常常 非常 冬天
""".split()  # noqa: SIM905


def write(file: Path, rows: int, seed: int = 0) -> None:
    """A JSON array of `rows` rows, half of them Chinese, a hundred tokens each by SmolLM2."""
    rng = random.Random(seed)
    with file.open("w", encoding="utf-8") as stream:
        for number in range(rows):
            row = _chinese(rng) if number % 2 else _english(rng)
            line = json.dumps(row, ensure_ascii=False)
            stream.write(("[\n" if number == 0 else ",\n") + line)
        stream.write("\n]\n")


def _english(rng: random.Random) -> dict[str, str]:
    def sentence(mark: str) -> str:
        return " ".join(rng.choices(ENGLISH, k=12)).capitalize() + mark

    answer = " ".join(sentence(".") for _ in range(3))
    return {"instruction": sentence("?"), "input": "", "output": answer}


def _chinese(rng: random.Random) -> dict[str, str]:
    def phrase(words: int) -> str:
        return "".join(rng.choices(CHINESE, k=words))

    answer = "，".join(phrase(4) for _ in range(4)) + "。"
    return {"instruction": phrase(5) + "？", "input": "", "output": answer}
