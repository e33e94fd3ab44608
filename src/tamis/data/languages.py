"""Which language a text seems to be in: a hint from scripts and function words, for reports.

A text in a script that one language dominates gets that language; a Latin or Cyrillic text gets a language only where
several of its most common words point to it, and to no other as strongly. Everything else is UNDETERMINED: product
names, commands and texts of a few words usually are. It is no classifier to build on and never changes a row.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from functools import cache

UNDETERMINED = "und"

_LETTERS = 400  # characters of a text that are looked at
_EVIDENCE = 1.5  # a language needs this much, in words that belong to it alone …
_MARGIN = 1.3  # … and this many times more than the next

_LETTER_WEIGHT = 0.75
_LETTERS_ALONE = {
    **dict.fromkeys("ığ", "tr"), **dict.fromkeys("łżśń", "pl"), **dict.fromkeys("ыэ", "ru"),
    **dict.fromkeys("іїє", "uk"), **dict.fromkeys("ñ¿¡", "es"), **dict.fromkeys("ãõ", "pt"),
    **dict.fromkeys("řůě", "cs"), **dict.fromkeys("őű", "hu"), **dict.fromkeys("țș", "ro"), "ß": "de", "œ": "fr",
}  # fmt: skip
"""Letters that hardly another language of the list uses."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "gu": "Gujarati",
    "he": "Hebrew", "hi": "Hindi or its kin", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian or Malay",
    "it": "Italian", "ja": "Japanese", "ka": "Georgian", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "lo": "Lao",
    "am": "Amharic or its kin", "ml": "Malayalam", "my": "Burmese", "nl": "Dutch", "no": "Norwegian", "pa": "Punjabi",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "si": "Sinhala", "sv": "Swedish",
    "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese", UNDETERMINED: "undetermined",
}  # fmt: skip
"""English names of the codes that `guess` returns (ISO 639-1, and `und`)."""

_SCRIPTS = (  # first code point, last code point, script
    (0x0041, 0x024F, "latin"),
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x052F, "cyrillic"),
    (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x077F, "arabic"),
    (0x0900, 0x097F, "hi"),
    (0x0980, 0x09FF, "bn"),
    (0x0A00, 0x0A7F, "pa"),
    (0x0A80, 0x0AFF, "gu"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0C00, 0x0C7F, "te"),
    (0x0C80, 0x0CFF, "kn"),
    (0x0D00, 0x0D7F, "ml"),
    (0x0D80, 0x0DFF, "si"),
    (0x0E00, 0x0E7F, "th"),
    (0x0E80, 0x0EFF, "lo"),
    (0x1000, 0x109F, "my"),
    (0x10A0, 0x10FF, "ka"),
    (0x1100, 0x11FF, "ko"),
    (0x1200, 0x139F, "am"),
    (0x1780, 0x17FF, "km"),
    (0x1E00, 0x1EFF, "latin"),
    (0x3040, 0x30FF, "ja"),
    (0x3400, 0x4DBF, "han"),
    (0x4E00, 0x9FFF, "han"),
    (0xAC00, 0xD7AF, "ko"),
)
_STARTS = [first for first, _, _ in _SCRIPTS]

_FUNCTION_WORDS = {
    "en": "the of and to in is that it for was on are as with his they be at this have from or had by but what "
    "were we when your can said there use an each which she do how their if will up other about out many "
    "then them these would him into has could did my than been who its now why where am not i you me he "
    "does don't i'm it's please should",
    "fr": "le la les des du de un une et est que qui dans pour pas sur au aux ce cette ces il elle ils nous "
    "vous je mon ma mes son sa ses ne plus avec par sont été être avoir mais ou où comme comment pourquoi "
    "quand tout fait j'ai c'est leur leurs très bien aussi votre était",
    "de": "der die das und ist in den von zu mit sich auf für nicht ein eine einen einem einer als auch es an "
    "werden aus er hat dass sie nach wird bei um am sind noch wie über so zum war haben nur oder aber vor "
    "zur bis mehr durch man ich mein meine wir ihr ihre kann warum wann wo wurde diese dieser",
    "es": "el la los las de que y en un una ser se no haber por con su para como estar tener le lo todo pero "
    "más hacer o poder este ir otro ese si me ya ver porque cuando él muy sin sobre mi qué del al es está "
    "son fue era hay mis cómo dónde también hasta desde esta entre yo",
    "pt": "o a os as de que e do da em um uma para é com não por mais dos das se na no ao nos nas como mas foi "
    "ele ela tem à seu sua ou ser quando muito há já está eu também só pelo pela até isso entre era "
    "depois sem mesmo aos ter seus quem meu minha são você onde num às",
    "it": "il lo la i gli le di che e è un una in non per con del della dei delle nel nella al alla sono da si "
    "come più ma anche se questo questa ho ha mi mio mia perché quando dove suo sua essere stato tra fra "
    "dal dalla degli ci cosa io cui sul sulla ogni molto era hanno",
    "nl": "de het een en van ik te dat die in is je niet zijn op aan met als voor had er maar om hem dan zou of "
    "wat mijn men dit zo door over ze zich bij ook tot uit kan hoe wordt waar waarom wanneer naar heeft "
    "hebben deze werd worden nog geen veel u uw wij meer was",
    "sv": "och att det i en jag hon som han på den med var sig för så till är men ett om hade de av icke mig du "
    "henne då sin nu har inte hans honom skulle hennes där min man ej vid kunde något från ut när efter "
    "upp vi dem vara vad över än dig kan sina här eller även detta",
    "da": "og i jeg det at en den til er som på de med han af for ikke der var mig sig men et har om vi min "
    "havde ham hun nu over da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil "
    "blev kunne ind når være dog noget deres efter også mit hvordan meget af",
    "no": "og i jeg det at en et den til er som på de med han av ikke der så var meg seg men ett har om vi min "
    "mitt ha hadde hun nå over da ved fra du ut sin dem oss opp man kan hans hvor eller hva skal selv her "
    "alle vil ble kunne inn når være noe etter også mye hvordan",
    "fi": "ja on ei se että hän oli ovat mutta kun niin mitä minä sinä me te he joka jos tai kuin myös sen ole "
    "olla voi vain nyt ne tämä tämän mukaan sekä jossa kanssa mistä miksi missä miten minun hänen joka "
    "ollut olen eivät ovat vielä jo kuten mikä",
    "pl": "i w na z do się nie to jest że o jak a po co tak za od przez dla ale czy był była było są być jego "
    "jej ich tym tego ten ta może już tylko jeszcze także lub oraz mnie mi ja ma który która które przy "
    "pod gdzie kiedy dlaczego bardzo moje mój moja można więc ze we",
    "cs": "a se v na je že s z do o k i to jako za by ale si po jsem jsou bylo být pro není jeho její který "
    "která které nebo když tak už jen však také od ve ze při byl byla můj moje co jak kde proč má mám "
    "může tím toho této podle před",
    "ro": "și în de la a cu pe nu că este un o care din pentru mai sau se au ale al lui fost sunt să ce dar ca "
    "prin după acest această foarte cum unde când am ai ei el ea fi dacă între despre fără către putea "
    "meu mea iar",
    "tr": "ve bir bu da de için ile çok ne mi mı daha gibi olarak olan kadar ama en ben sen biz siz onlar var "
    "yok değil sonra o her ki ya veya şey nasıl neden nerede zaman oldu olduğu tarafından ise bana benim "
    "mu mü en hem diye göre bunun ancak fakat",
    "hu": "a az és hogy nem is egy ez azt van volt meg de csak már mint még ha vagy el mert ki ami aki fel én "
    "te mi ők lehet kell nagyon minden között után előtt hol mikor miért hogyan lesz vannak amely ezt "
    "által valamint így pedig",
    "id": "yang dan di ini itu dengan untuk tidak dari dalam akan pada juga saya ke karena ada oleh seperti "
    "atau lebih adalah mereka bisa dapat kami kita sudah telah apa bagaimana mengapa anda dia hanya "
    "sangat tetapi sebagai tersebut orang banyak tahun belum menjadi saat para secara",
    "vi": "của và là có không được cho các một những trong với người này đã đến từ khi tôi như ở về rằng cũng "
    "nhưng để phải nhiều sẽ thì vào ra bị theo tại hoặc bạn họ ông bà làm gì sao đó nào việc trên nếu còn "
    "hơn",
    "sw": "ya na wa kwa ni katika la za kuwa cha hii kama hiyo lakini pia au yake huo ili watu sana wake hivyo "
    "baada yao kutoka kila moja hata mimi wewe sisi ambao ambayo ambapo wakati juu zaidi vya hayo huu "
    "bila si hakuna alikuwa",
    "ca": "el la els les de i que en un una per amb no és al del dels es més com però seva seu va han són "
    "aquest aquesta també on quan què per molt fer ser jo meu meva tot pel pels hi ha",
    "ru": "и в не на что я с он как это а по но они к у ты из мы за вы так же от все бы о его её для только был "
    "была было были мне меня уже когда или если чтобы при где почему этот эта того есть ещё до может "
    "который которые также их",
    "uk": "і в не на що я з він як це а по але вони до у ти із ми за ви так же від все би про його її для "
    "тільки був була було були мені мене вже коли або якщо щоб при де чому цей ця того є ще може який які "
    "також їх та й зі",
    "bg": "и в не на че аз с той как това а по но те към у ти от ние за вие така да си е са се ще му му бе със "
    "или ако при къде защо този тази има още до може който които също им който съм бил била беше без след",
}  # fmt: skip


def guess(text: str) -> str:
    """Return the code of the language that `text` seems to be in, or UNDETERMINED."""
    text = text[:_LETTERS]
    script = "latin" if text.isascii() else _script(text)
    if script in ("latin", "cyrillic"):
        return _by_words(text)
    if script == "arabic":
        return _arabic_kin(text)
    return script


def _script(text: str) -> str:
    """The script of most letters; Japanese where kana stand between Han characters."""
    counts = Counter(_script_of(character) for character in text if character.isalpha())
    if not counts:
        return UNDETERMINED
    if counts["ja"] and counts["ja"] + counts["han"] > counts["latin"]:
        return "ja"
    script, most = counts.most_common(1)[0]
    if 2 * most <= counts.total():
        return UNDETERMINED
    return "zh" if script == "han" else script


@cache
def _script_of(character: str) -> str:
    point = ord(character)
    place = bisect_right(_STARTS, point) - 1
    return _SCRIPTS[place][2] if place >= 0 and point <= _SCRIPTS[place][1] else UNDETERMINED


def _by_words(text: str) -> str:
    """The language whose function words say most; a word that n languages share says 1/n for each."""
    evidence: dict[str, float] = {}
    weights = _weights()
    text = text.lower().replace("’", "'")
    if not text.isascii():
        for language in {_LETTERS_ALONE[letter] for letter in text if letter in _LETTERS_ALONE}:
            evidence[language] = _LETTER_WEIGHT
    for word in _WORD.findall(text):
        for language, weight in weights.get(word, ()):
            evidence[language] = evidence.get(language, 0.0) + weight
    if not evidence:
        return UNDETERMINED
    (best, most), (_, next_most) = sorted([*evidence.items(), ("", 0.0)], key=lambda item: -item[1])[:2]
    return best if most >= _EVIDENCE and most >= _MARGIN * next_most else UNDETERMINED


@cache
def _weights() -> dict[str, tuple[tuple[str, float], ...]]:
    """Each function word with the languages it belongs to, and how much it says for each."""
    homes: dict[str, list[str]] = {}
    for language, words in _FUNCTION_WORDS.items():
        for word in set(words.split()):
            homes.setdefault(word, []).append(language)
    return {word: tuple((language, 1 / len(found)) for language in found) for word, found in homes.items()}


def _arabic_kin(text: str) -> str:
    """Urdu and Persian by letters that Arabic does not have."""
    if any(letter in text for letter in "ٹڈڑںے"):
        return "ur"
    return "fa" if any(letter in text for letter in "پچژگ") else "ar"
