import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.languages import NAMES, UNDETERMINED, guess

SENTENCES = {
    "en": "Where is the parcel that I ordered from your shop last week?",
    "fr": "Je voudrais savoir où est le colis que vous m'avez envoyé la semaine dernière.",
    "de": "Ich möchte wissen, wo das Paket ist und warum es noch nicht angekommen ist.",
    "es": "¿Dónde está el paquete que pedí la semana pasada y por qué no llega?",
    "pt": "Eu gostaria de saber onde está a minha encomenda, que ainda não chegou.",
    "it": "Vorrei sapere dove è il pacco che ho ordinato e perché non è arrivato.",
    "nl": "Ik wil graag weten waar mijn pakket is en waarom het nog niet is aangekomen.",
    "pl": "Chciałbym wiedzieć, gdzie jest moja paczka i dlaczego jeszcze nie przyszła.",
    "tr": "Siparişim nerede ve neden daha gelmedi, çok bekledim.",
    "ru": "Я хочу узнать, где моя посылка и почему она ещё не пришла.",
    "uk": "Я хочу знати, де моя посилка і чому вона ще не прийшла.",
    "ar": "أين الطرد الذي طلبته الأسبوع الماضي؟",
    "fa": "بسته ای که هفته پیش سفارش دادم کجاست؟ چرا نرسید",
    "he": "איפה החבילה שהזמנתי בשבוע שעבר?",
    "el": "Πού είναι το δέμα που παρήγγειλα;",
    "hi": "मेरा पार्सल कहाँ है?",
    "th": "พัสดุของฉันอยู่ที่ไหน",
    "ja": "私の荷物はどこにありますか？",
    "zh": "我的包裹在哪里？",
    "ko": "내 소포는 어디에 있나요?",
    "vi": "Tôi muốn biết gói hàng của tôi đang ở đâu và tại sao chưa đến.",
}


@pytest.mark.parametrize(("code", "text"), SENTENCES.items())
def test_whole_sentences_are_told(code, text):
    assert guess(text) == code


@pytest.mark.parametrize("text", ["", "OK", "iPhone 15 Pro Max", "12345 !!", "🙂🙂🙂", "die in no"])
def test_what_cannot_be_told_is_not_claimed(text):
    assert guess(text) == UNDETERMINED


def test_han_with_kana_is_japanese_and_latin_names_do_not_change_it():
    assert guess("私は iPhone を買いました") == "ja"
    assert guess("我买了 iPhone 手机和 iPad 平板电脑今天") == "zh"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_every_guess_has_a_name(text):
    assert guess(text) in NAMES
