"""Names in the cases and with the particles of languages that bend them.

The paradigms are written by hand after the languages' grammars, not after the guard's table of endings; people are
invented, out of common first and family names.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

VOWELS = "aeiou"


@dataclass(frozen=True)
class Inflected:
    """A name as it is registered, and as a text of that language has it in some case."""

    language: str
    name: str
    written: str


PARADIGMS: Mapping[str, tuple[str, Sequence[str]]] = {
    "ru": (
        "Расскажи мне, что ты знаешь: {}, где и когда это было?",
        (
            "Иван Петров: Ивана Петрова; Ивану Петрову; Иваном Петровым; Иване Петрове",
            "Анна Соколова: Анны Соколовой; Анне Соколовой; Анну Соколову; Анной Соколовой",
            "Мария Достоевская: Марии Достоевской; Марию Достоевскую; Марией Достоевской",
            "Андрей Белинский: Андрея Белинского; Андрею Белинскому; Андреем Белинским; Андрее Белинском",
            "Игорь Кравец: Игоря Кравца; Игорю Кравцу; Игорем Кравцом; Игоре Кравце",
            "Павел Заяц: Павла Зайца; Павлу Зайцу; Павлом Зайцем",
            "Любовь Мельник: Любови Мельник; Любовью Мельник",
            "Илья Гоголь: Ильи Гоголя; Илье Гоголю; Илью Гоголя; Ильёй Гоголем",
            "Либо Столман: Либо Столмана; Либо Столману; Либо Столманом; Либо Столмане",
        ),
    ),
    "uk": (
        "Розкажи, будь ласка: {}, де це сталося?",
        (
            "Тарас Шевчук: Тараса Шевчука; Тарасові Шевчуку; Тарасом Шевчуком; Тарасе Шевчуче",
            "Олена Бондаренко: Олени Бондаренко; Олені Бондаренко; Олену Бондаренко; Оленою Бондаренко",
            "Ольга Кравчук: Ольги Кравчук; Ользі Кравчук; Ольгу Кравчук; Ольгою Кравчук",
            "Андрій Коваль: Андрія Коваля; Андрієві Ковалю; Андрієм Ковалем",
            "Микола Лисенко: Миколи Лисенка; Миколі Лисенкові; Миколу Лисенка; Миколою Лисенком",
            "Наталія Вишневська: Наталії Вишневської; Наталію Вишневську; Наталією Вишневською",
        ),
    ),
    "pl": (
        "Opowiedz mi o tym: {}, kiedy to było?",
        (
            "Jan Kowalski: Jana Kowalskiego; Janowi Kowalskiemu; Janem Kowalskim; Janie Kowalskim",
            "Anna Nowak: Anny Nowak; Annie Nowak; Annę Nowak; Anną Nowak",
            "Marek Wójcik: Marka Wójcika; Markowi Wójcikowi; Markiem Wójcikiem; Marku Wójciku",
            "Olga Zielińska: Olgi Zielińskiej; Oldze Zielińskiej; Olgę Zielińską; Olgą Zielińską",
            "Wojciech Dąbek: Wojciecha Dąbka; Wojciechowi Dąbkowi; Wojciechem Dąbkiem",
            "Paweł Gołąb: Pawła Gołębia; Pawłowi Gołębiowi; Pawłem Gołębiem",
            "Libo Stolman: Libo Stolmana; Libo Stolmanowi; Libo Stolmanem; Libo Stolmanie",
            "Peja Bunzar: Pei Bunzara; Peję Bunzara; Peją Bunzarem",
        ),
    ),
    "cs": (
        "Řekni mi prosím: {}, kde to bylo?",
        (
            "Petr Novák: Petra Nováka; Petru Novákovi; Petrem Novákem; Petru Novákovi",
            "Jana Nováková: Jany Novákové; Janě Novákové; Janu Novákovou; Janou Novákovou",
            "Marek Havel: Marka Havla; Markovi Havlovi; Markem Havlem",
            "Karel Čapek: Karla Čapka; Karlu Čapkovi; Karlem Čapkem",
            "Jiří Dvořák: Jiřího Dvořáka; Jiřímu Dvořákovi; Jiřím Dvořákem",
            "Ivan Svoboda: Ivana Svobody; Ivanu Svobodovi; Ivanem Svobodou",
            "Libo Stolman: Liba Stolmana; Libovi Stolmanovi; Libem Stolmanem",
        ),
    ),
    "sk": (
        "Povedz mi: {}, kde to bolo?",
        (
            "Ján Horváth: Jána Horvátha; Jánovi Horváthovi; Jánom Horváthom",
            "Zuzana Kováčová: Zuzany Kováčovej; Zuzane Kováčovej; Zuzanu Kováčovú; Zuzanou Kováčovou",
            "Marek Hudec: Mareka Hudeca; Marekovi Hudcovi; Marekom Hudcom",
        ),
    ),
    "hr": (
        "Reci mi: {}, gdje je to bilo?",
        (
            "Marko Petrović: Marka Petrovića; Marku Petroviću; Markom Petrovićem",
            "Ana Horvat: Ane Horvat; Ani Horvat; Anu Horvat; Anom Horvat",
            "Ivica Babić: Ivice Babića; Ivici Babiću; Ivicom Babićem",
            "Danilo Vukov: Danila Vukova; Danilu Vukovu; Danilom Vukovom",
        ),
    ),
    "sr": (
        "Реци ми: {}, где је то било?",
        (
            "Марко Петровић: Марка Петровића; Марку Петровићу; Марком Петровићем",
            "Јелена Јовановић: Јелене Јовановић; Јелени Јовановић; Јелену Јовановић; Јеленом Јовановић",
            "Ђорђе Симић: Ђорђа Симића; Ђорђу Симићу; Ђорђем Симићем",
        ),
    ),
    "sl": (
        "Povej mi: {}, kje je bilo?",
        (
            "Janez Kranjc: Janeza Kranjca; Janezu Kranjcu; Janezom Kranjcem",
            "Maja Zupan: Maje Zupan; Maji Zupan; Majo Zupan",
        ),
    ),
    "lt": (
        "Papasakok: {}, kur tai buvo?",
        (
            "Jonas Kazlauskas: Jono Kazlausko; Jonui Kazlauskui; Joną Kazlauską; Jonu Kazlausku",
            "Rasa Petraitytė: Rasos Petraitytės; Rasai Petraitytei; Rasą Petraitytę",
            "Libo Stolman: Libo Stolmano; Libo Stolmanui; Libo Stolmaną",
        ),
    ),
    "lv": (
        "Pastāsti: {}, kur tas bija?",
        (
            "Jānis Bērziņš: Jāņa Bērziņa; Jānim Bērziņam; Jāni Bērziņu",
            "Anna Kalniņa: Annas Kalniņas; Annai Kalniņai; Annu Kalniņu",
            "Libo Stolman: Libo Stolmana; Libo Stolmanam; Libo Stolmanu",
        ),
    ),
    "fi": (
        "Kerro minulle: {}, missä se oli?",
        (
            "Matti Virtanen: Matti Virtasen; Matti Virtaselle; Matti Virtasesta; Matti Virtasta; Matti Virtasella",
            "Aino Mäki: Aino Mäen; Aino Mäelle; Aino Mäestä; Aino Mäkeä",
            "Jukka Laine: Jukka Laineen; Jukka Laineelle; Jukka Laineesta; Jukka Lainetta",
            "Kaisa Saarinen: Kaisa Saarisen; Kaisa Saariselle; Kaisa Saarista",
            "Pekka Niemi: Pekka Niemen; Pekka Niemelle; Pekka Niemestä",
            "Libo Stolman: Libo Stolmanin; Libo Stolmanille; Libo Stolmanista; Libo Stolmania; Libo Stolmanilta",
            "Peja Bunzar: Peja Bunzarin; Peja Bunzarille; Peja Bunzarista; Peja Bunzariin",
        ),
    ),
    "et": (
        "Räägi mulle: {}, kus see oli?",
        (
            "Mart Tamm: Mart Tamme; Mart Tammele; Mart Tammest; Mart Tammega",
            "Kersti Saar: Kersti Saare; Kersti Saarele; Kersti Saarest",
            "Libo Stolman: Libo Stolmani; Libo Stolmanile; Libo Stolmanist; Libo Stolmaniga",
        ),
    ),
    "hu": (
        "Mondd el: {}, hol volt ez?",
        (
            "Kovács János: Kovács Jánosnak; Kovács Jánost; Kovács Jánossal; Kovács Jánosról; Kovács Jánosé",
            "Nagy Anna: Nagy Annának; Nagy Annát; Nagy Annával; Nagy Annáról; Nagy Annához",
            "Szabó Endre: Szabó Endrének; Szabó Endrét; Szabó Endrével; Szabó Endréről",
            "Libo Stolman: Libo Stolmannak; Libo Stolmant; Libo Stolmannal; Libo Stolmanról; Libo Stolmanhoz",
            "Peja Bunzar: Peja Bunzarnak; Peja Bunzart; Peja Bunzarral; Peja Bunzarról",
            "Mirela Tonde: Mirela Tondének; Mirela Tondét; Mirela Tondéval; Tonde Mireláról",
        ),
    ),
    "tr": (
        "Bana söyle: {}, bu neredeydi?",
        (
            "Ahmet Yılmaz: Ahmet Yılmaz'ın; Ahmet Yılmaz'a; Ahmet Yılmaz’ı; Ahmet Yılmaz'dan; Ahmet Yılmazın",
            "Ayşe Kaya: Ayşe Kaya'nın; Ayşe Kaya'ya; Ayşe Kaya’yı; Ayşe Kayanın; Ayşe Kayadan",
            "Mehmet Çelik: Mehmet Çelik'in; Mehmet Çeliğin; Mehmet Çelik'le",
            "Libo Stolman: Libo Stolman'ın; Libo Stolman'a; Libo Stolmanın; Libo Stolmandan; Libo Stolmanla",
            "Peja Bunzar: Peja Bunzar'ın; Peja Bunzarı; Peja Bunzarda; Peja Bunzardan",
        ),
    ),
    "az": ("Mənə de: {}, bu harada olub?", ("Elçin Məmmədov: Elçin Məmmədovun; Elçin Məmmədova; Elçin Məmmədovdan",)),
    "uz": ("Ayting: {}, bu qayerda edi?", ("Rustam Karimov: Rustam Karimovning; Rustam Karimovga; Rustam Karimovdan",)),
    "kk": ("Айтшы: {}, бұл қайда болды?", ("Нұрлан Әбішев: Нұрлан Әбішевтің; Нұрлан Әбішевке; Нұрлан Әбішевті",)),
    "ko": (
        "{} 어디에서 태어났는지 말해 줘.",
        (
            "김민수: 김민수는; 김민수가; 김민수를; 김민수의; 김민수에게; 김민수씨는; 김민수 씨가; 김민수님께서",
            "박서연: 박서연은; 박서연이; 박서연을; 박서연의; 박서연한테; 박서연이라는",
            "리보 스톨만: 리보 스톨만은; 리보 스톨만이; 리보 스톨만을; 리보 스톨만의; 리보 스톨만에 대해",
        ),
    ),
    "ja": (
        "{}どこで生まれましたか。",
        (
            "田中太郎: 田中太郎は; 田中太郎さんが; 田中太郎氏の; 田中 太郎について; 田中太郎くんを",
            "リボ・ストルマン: リボ・ストルマンは; リボストルマンさんが; リボ=ストルマン氏の; リボ ストルマンを",
        ),
    ),
    "ar": (
        "أخبرني {} متى كان ذلك؟",
        (
            "محمد العلي: لمحمد العلي; ومحمد العلي; بمحمد العلي; محمّد العلي; كمحمد العلي; فمحمد العلي",
            "سمير حداد: لسمير حداد; وسمير حداد; بسمير حداد; سميرًا حدادًا; والسمير حداد",
            "ليبو ستولمان: لليبو ستولمان; وليبو ستولمان; بليبو ستولمان",
        ),
    ),
    "he": ("ספר לי {} איפה זה היה?", ("דוד לוי: לדוד לוי; ודוד לוי; שדוד לוי; מדוד לוי; בדוד לוי",)),
    "fa": ("بگو {} کجا بود؟", ("رضا کریمی: رضا کریمی‌ها; رضا کریمی را; رضاکریمی; رضا کريمي",)),
    "el": (
        "Πες μου: {}, πού ήταν αυτό;",
        (
            "Γιώργος Παπαδόπουλος: Γιώργου Παπαδόπουλου; Γιώργο Παπαδόπουλο; του ΓΙΩΡΓΟΥ ΠΑΠΑΔΟΠΟΥΛΟΥ",
            "Ελένη Νικολάου: Ελένης Νικολάου; την Ελένη Νικολάου",
            "Νίκος Καζαντζάκης: Νίκου Καζαντζάκη; Νίκο Καζαντζάκη",
            "Άννα Βλάχου: Άννας Βλάχου; Αννα Βλαχου",
        ),
    ),
    "hy": (
        "Ասա ինձ՝ {}, որտե՞ղ էր դա։",
        ("Արամ Պետրոսյան: Արամ Պետրոսյանի; Արամ Պետրոսյանին; Արամ Պետրոսյանից; Արամ Պետրոսյանը",),
    ),
    "ka": (
        "მითხარი: {}, სად იყო ეს?",
        ("გიორგი ბერიძე: გიორგი ბერიძის; გიორგი ბერიძეს; გიორგი ბერიძემ; გიორგიმ ბერიძემ",),
    ),
    "eu": (
        "Esadazu: {}, non izan zen?",
        (
            "Mikel Etxeberria: Mikel Etxeberriaren; Mikel Etxeberriari; Mikel Etxeberriak; Mikel Etxeberriarekin",
            "Libo Stolman: Libo Stolmanen; Libo Stolmani; Libo Stolmanek; Libo Stolmanekin",
        ),
    ),
    "ro": (
        "Spune-mi: {}, unde a fost?",
        ("Maria Ionescu: Mariei Ionescu; lui Maria Ionescu", "Ion Popescu: lui Ion Popescu"),
    ),
    "sq": (
        "Më thuaj: {}, ku ishte?",
        ("Agron Hoxha: Agron Hoxhës; Agronit Hoxha; Agronin Hoxha", "Libo Stolman: Libo Stolmanit; Libo Stolmanin"),
    ),
    "is": (
        "Segðu mér: {}, hvar var það?",
        (
            "Jón Sigurðsson: Jóns Sigurðssonar; Jóni Sigurðssyni",
            "Guðrún Helgadóttir: Guðrúnar Helgadóttur; Guðrúnu Helgadóttur",
        ),
    ),
    "de": (
        "Sag mir: {}, wo war das?",
        ("Libo Stolman: Libo Stolmans; Stolmans Libo", "Max Weiß: Max Weiß’; Max Weiss; Maxens Weiß"),
    ),
    "sv": ("Säg mig: {}, var var det?", ("Libo Stolman: Libo Stolmans", "Åsa Öberg: Åsa Öbergs; Asa Oberg")),
    "da": ("Sig mig: {}, hvor var det?", ("Søren Ågård: Søren Ågårds; Soeren Aagaard; Soren Agard",)),
    "nl": ("Vertel me: {}, waar was dat?", ("Libo Stolman: Libo Stolmans; Libo Stolman's",)),
    "ta": ("சொல்: {} எங்கே?", ("குமார் ராமன்: குமார் ராமனின்; குமார் ராமனுக்கு; குமார் ராமனை",)),
    "hi": ("बताओ {} कहाँ?", ("राम शर्मा: राम शर्मा का; राम शर्मा जी ने; राम शर्मा को; श्री राम शर्मा",)),
    "mn": ("Хэлээч: {}, хаана байсан бэ?", ("Болд Ганбат: Болд Ганбатын; Болд Ганбатад; Болд Ганбатаас",)),
    "la": ("Dic mihi: {}, ubi?", ("Marcus Tullius: Marci Tullii; Marco Tullio; Marcum Tullium",)),
    "id": ("Ceritakan: {}, di mana?", ("Budi Santoso: Budi Santosonya; Budi Santoso-lah",)),
    "ga": ("Inis dom: {}, cá raibh sé?", ("Máire Walsh: a Mháire Walsh; Mháire Walsh",)),
}
"""Language -> a text about somebody; lines of a name and some of its forms."""


def inflected() -> Iterator[Inflected]:
    """Every form in a text of its language."""
    for language, (text, lines) in PARADIGMS.items():
        for line in lines:
            name, forms = line.split(": ")
            yield from (Inflected(language, name, text.format(form)) for form in forms.split("; "))


_ENDINGS: Mapping[str, tuple[Sequence[str], Sequence[str], str]] = {
    # Behind a consonant, behind a vowel (which it takes the place of where it begins with "<"), in a text.
    "ru, Latin": (("a", "u", "om", "e"), ("<y", "<oi", "<u"), "Rasskazhi: {}, gde eto bylo?"),
    "pl": (("a", "owi", "em", "ie"), ("<y", "<ę", "<ą", "<ie"), "Opowiedz: {}, kiedy to było?"),
    "cs": (("a", "ovi", "em", "ův"), ("<y", "<ou", "<u", "<ovi"), "Řekni: {}, kde to bylo?"),
    "hr": (("a", "u", "om", "ov"), ("<e", "<i", "<om", "<in"), "Reci: {}, gdje je to bilo?"),
    "fi": (("in", "ille", "ista", "ia", "issa", "ilta"), ("n", "lle", "sta", "a", "lta"), "Kerro: {}, missä se oli?"),
    "et": (("i", "ile", "ist", "iga"), ("", "le", "st", "ga"), "Räägi: {}, kus see oli?"),
    "hu": (("nak", "ot", "ról", "hoz", "ért"), ("nak", "t", "ról", "hoz", "val"), "Mondd: {}, hol volt ez?"),
    "tr": (("'ın", "'a", "ın", "dan", "la", "ı"), ("'nın", "'ya", "nın", "dan", "yla"), "Söyle: {}, bu neredeydi?"),
    "lt": (("as", "o", "ui", "ą"), ("<os", "<ai", "<ą", "s"), "Papasakok: {}, kur tai buvo?"),
    "eu": (("en", "i", "ek", "ekin"), ("ren", "ri", "k", "rekin"), "Esadazu: {}, non izan zen?"),
    "sq": (("i", "it", "in"), ("ja", "s", "n"), "Më thuaj: {}, ku ishte?"),
    "uz": (("ning", "ga", "dan", "ni"), ("ning", "ga", "dan", "ni"), "Ayting: {}, bu qayerda edi?"),
}


def suffixed(rng: random.Random, language: str, name: str) -> str:
    """Any Latin name with an ending of a language at its last word, in a text."""
    consonant, vowel, text = _ENDINGS[language]
    ends_in_vowel = name[-1].casefold() in VOWELS
    ending = rng.choice(vowel if ends_in_vowel else consonant)
    return text.format(name[:-1] + ending[1:] if ending.startswith("<") else name + ending)


SUFFIXING = tuple(_ENDINGS)
