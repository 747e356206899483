"""How languages bend a name: what its nominative ends with, and what stands there in other cases.

The commonest declensions and suffixes only, each after the grammars of its language, without accents (folding drops
them). A rule says no more than that two words may be forms of one name: all words of the name must agree.
"""

from functools import cache

from gateway.guards.normalise import fold

_CASES = """
pl : a owi em ie u iem e y i
pl a : y i e ie iej o ej
pl ja : i
pl o : a owi em u
pl i : iego iemu im
pl y : ego emu ym
pl ga : dze
pl ka : ce
pl r : rze
pl t : cie
pl d : dzie
pl l : le
pl ab : ebia ebiowi ebiem
cs : a u ovi em e em um uv ech
cs a : y e u ou ovi ou o ove
cs o : a ovi em
cs i : iho imu im
cs y : eho emu ym
cs ova : ove ovou
cs ka : ce
cs ha : ze
cs e : ete
sk : om ovi a e
sk a : ej ou u e
hr : a u om em e i ov in
hr a : e i u om o
hr o : a u om
hr e : a u om
sl a : o
lt as : o ui a u e
lt is : io iui i iu
lt us : aus ui u umi
lt a : os ai oje
lt e : es ei
lt : as o ui a
lv : am
lv s : a am u
lv is : a im i u
lv a : as ai u
lv e : es ei i
fi : n in en lle ille sta ista lla illa lta ilta ssa issa ksi iksi a ia ta tta an iin na ina lle
fi nen : sen selle sesta seen sella selta sessa sena seksi sta
fi ki : en elle esta essa ella elta een
fi i : en elle esta ella elta essa ea een
fi e : een eelle eesta eella eelta eessa etta eena
fi ti : den delle desta ssa della delta tta
fi ku : un ulle usta ulla
fi s : ksen kselle ksesta
et : i e a u le ile ele ale st ist est ast ga iga ega aga l il el al
hu : t ot et at nak nek val vel ban ben rol tol hoz hez ra re nal ert kent ig ba be e ek
hu : bol stul
tr : in un a e i u yi yu ya ye nin nun da de dan den ta te tan ten la le yla yle lar
tr k : gin gun ga ge gi gu
az : in un a e i u dan den da de
uz : ning ga dan ni da
kk : tin nin din ke ga ge ti di ni ten den nen men
eu : ren en ari ri i k ek rekin ekin rik ik ra rentzat
sq : i it in u ut un ja
sq a : es en
ro : ei
ro a : ei
ro ia : iei
is : s ar i
is n : ni
is on : onar yni
is ir : ur
is or : s i
la us : i o um e
la a : ae am
ru : а у ом е ем ю я ым ой ою ов ову овым
ru а : ы и е у ой ою ей
ru яц : йца йцу йцем йце
ru я : и е ю ей ею ёй
ru ь : я ю ем е и ью
ru й : я ю ем е
ru ий : ого ому им ом его ему ем
ru ый : ого ому ым ом
ru ой : ого ому ым ом
ru ая : ой ую ою
ru яя : ей юю
ru о : а у ом е
uk : а у ові ом ем еві ю і и є ої
uk а : и і у ою о ої ій
uk я : ї ю єю
uk к : че ці
uk га : зі
uk ка : ці
uk о : а ові ом у ку кові
uk й : я ю єві єм ї
uk ь : я ю еві ем
uk ий : ого ому им ім
sr : а у ом ем е
sr а : е и у ом о
sr о : а у ом е
sr е : а у ом ем ета
bg : а ът
mn : ын ийн ад ад аас т ыг
mn : ийг тай
kk : тің нің дің ке ге ға қа ті ді ні тен ден нан дан мен пен
el ος : ου ο ε
el ός : ού ό έ
el ης : η
el ής : ή
el ας : α
el άς : ά
el η : ης
el ή : ής
el α : ας
el ά : άς
el ις : ι
el ώ : ώς
hy : ի ին ից ով ում ը ն
ka : ის ს მა მ ით ად
ka ი : ის ს მა
ka ე : ის ეს ემ
ar : ا
fa : ها
ta ் : ின் ுக்கு ை ால் ிடம் ுடன்
id : nya
"""
"""A language, how the name ends, how its cases end. Nothing before the colon: the ending is written on to the name."""

_FLEETING = "el ek ec er en eb em ev et ed op ok or ot el iec ier iel ien ел ек ец ер ев ок ор ён ец ень"
_BEHIND_FLEETING = {True: "a u em om ovi owi e y i ie iem", False: "а у ом ем е ові еві и і я ю"}
_STRONG = 3  # letters that differ: no other family name is like that
WEAK, SURE = 1, 2

_CLITICS = "و ف ب ك ل س ال وال بال ول وب فل لل فال كال ו ש ל ב מ ה כ וש ול וב ומ שה של שב שמ כש לכש מש"
CLITICS = frozenset(_CLITICS.split())
"""What Arabic and Hebrew write on to the beginning of a name: and, to, by, like, from."""


@cache
def endings() -> dict[tuple[str, str], int]:
    """(what a name ends with, what stands there instead) -> how much that tells; folded, without what both share."""
    rules: dict[tuple[str, str], int] = {}
    for line in _CASES.strip().splitlines():
        head, cases = line.split(":")
        nominative = fold("".join(head.split()[1:])).text
        for case in cases.split():
            _add(rules, nominative, fold(case).text)
    for consonant in "bcdfgklmnprstvz":  # Hungarian -val takes on the last consonant
        for vowel in "ae":
            rules["", f"{consonant}{vowel}l"] = SURE
    for nominative in _FLEETING.split():
        for case in _BEHIND_FLEETING[nominative.isascii()].split():
            stem = nominative[-1] if nominative[-1] != "ь" else nominative[-2]
            _add(rules, fold(nominative).text, fold(stem + case).text)
    return rules


def _add(rules: dict[tuple[str, str], int], nominative: str, case: str) -> None:
    while nominative and case and nominative[0] == case[0]:
        nominative, case = nominative[1:], case[1:]
    if nominative or case:
        sure = len(nominative) + len(case) >= _STRONG or (not nominative and len(case) > 1)
        rules[nominative, case] = SURE if sure else WEAK


_BENDING = """
w się jest był była gdzie kto kiedy jak czy jaki jaka jakie kim czym dla od po opowiedz powiedz urodził urodziła mieszka
kde kdy jaký jaká které pro řekni pověz byl byla bylo narodil narodila žije pracuje kdy kedy kto čo aký aká povedz
bol bola bolo narodil gdje tko kada što koji koja reci kaži rođen rođena živi gde ko kdaj kje kaj rojen povej bilo bila
gdzie kur kas kada koks kokia papasakok yra buvo gimė gyvena kad kurš kāds pastāsti ir bija dzimis dzimusi dzīvo
missä kuka mikä mitä milloin kenen kerro minulle oli syntyi asuu onko kus kes millal mida räägi mulle oli sündis elab
hol ki kicsoda mikor mi mit hogyan mondd mondj meséld született él volt egy kérlek nerede kim kimdir nedir söyle anlat
doğdu yaşıyor bana hakkında için ile bir haqqında harada söylə mənə qayerda qachon kim ayting haqida
zer non noiz nor nork esadazu jaio zen ku kush kur cili më thuaj lindur lindi unde cine când spune despre născut
hvar hver hvenær segðu fæddist býr gde kto kogda chto kak rasskazhi skazhi rodilsya rodilas zhivet pro de roskazhy
ubi quis quid dic quando natus
"""
_STAYING = """
the of and to in is was were who what where when did does which that his her for with about from on
der die das und ist war wer wo wann wurde von mit über für ein eine sein ihr er sie wie
el la los las de del que quién quien dónde cuándo es fue un una por con nació su se en
le les des du et est où qui quand né née dans sur une pour il elle
lo gli di che è dove chi quando nato nata per
o os da do dos das em é onde quem foi nasceu uma
het een van wie waar wanneer werd den det och som var vem när og er hvor hvem
"""
_BEND_WORDS = frozenset(_BENDING.split()) - frozenset(_STAYING.split())
_STAY_WORDS = frozenset(_STAYING.split()) - frozenset(_BENDING.split())
_BEND_LETTERS = frozenset("ąćęłńśźżěčďňřšťůžőűğışėįųūāģīķļņțșþəўқғҳ")


def bends_names(words: frozenset[str]) -> int:
    """How much more casefolded words are of a language that bends names than of one in which a name stays as it is."""
    bent = len(words & _BEND_WORDS) + sum(1 for word in words if _BEND_LETTERS.intersection(word))
    return bent - len(words & _STAY_WORDS)
