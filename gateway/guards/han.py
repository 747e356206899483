"""Han characters that write foreign names, and the syllables that they write.

A selection in the manner of the usual transcription tables ("Names of the World's Peoples", Xinhua, 1993), not a copy
of them. Where a character writes several consonants the commonest stands here (吉 writes gi too, 希 shi, 韦 we); a name
is looked for in its other ways.
"""

_SYLLABLES = """
阿a 埃e 伊i 奥o 乌u 艾ai 爱ai 欧o 安an 昂an 因in 英in
翁on 厄er 尤yu 亚ya 娅ya 雅ya 耶ye 约yo 于yu 扬yan 延yan 永yon 荣yon
巴ba 芭ba 贝be 比bi 博bo 伯bo 布b 拜bai 鲍bo 班ban 邦ban 本ben 宾bin 伯ber 彼pi 柏ber
帕pa 佩pe 皮pi 波po 普p 派pai 保pau 潘pan 庞pon 彭pen 平pin 珀per
达da 黛dai 代dai 戴dai 德d 迪di 蒂ti 狄di 多do 杜du 道dau 丹dan 当dan 登den 邓dun 丁din 东don 顿ton
塔ta 泰te 特t 提ti 托to 图tu 陶tau 坦tan 唐tan 滕ten 廷tin 汀tin 通ton 屯tun 腾ten
加ga 盖gai 格g 吉ji 戈go 哥go 古gu 高gau 甘gan 冈gon 根gen 贡gon 瓜gua 圭gui 葛g
卡ka 凯ke 克k 基ki 科ko 柯ko 库ku 考kau 坎kan 康kon 肯ken 金kin 孔kon 昆kun 夸kua 奎kui 阔kuo 奇ch 琪chi
哈ha 赫h 黑he 希hi 霍ho 胡hu 海hai 豪hau 汉han 杭han 亨hen 欣hin 洪hon 休hu 惠hui 怀hai
查cha 切che 乔jo 丘chu 柴chai 钱chan 琴chin 贾ja 杰je 朱ju 茹ju 詹jan 珍jen 真jen 琼jon 日zh 热zhe 佳ja 吕lu
萨sa 莎sha 塞se 赛se 西si 锡si 索so 苏su 斯s 丝s 绍sho 桑san 森sen 辛sin 松son 孙sun 逊son 圣san
扎za 泽ze 齐zi 佐zo 祖zu 兹z 宰zai 赞zan 曾zen 津zin 宗zon 茨ts 察tsa 采tse 措tso 楚tsu 茲z
沙sha 夏sha 谢she 肖sho 舒shu 什sh 尚shan 申shen 香shan 雪she
法fa 费fe 菲fi 福fo 富fu 夫f 弗f 凡van 方fan 芬fin 丰fon 佛fo
瓦va 韦ve 维vi 威vi 薇vi 沃vo 武vu 伍vu 万van 范van 文ven 温ven 旺van 冯fon
拉la 莱le 勒le 雷re 蕾re 利li 里ri 莉li 丽li 洛lo 罗ro 萝ro 卢lu
鲁ru 露lu 赖rai 劳lau 兰lan 朗lan 伦len 林lin 琳lin 隆lon 龙ron 尔r 儿r
马ma 玛ma 梅me 默me 米mi 密mi 莫mo 摩mo 穆mu 姆m 迈mai 麦mai 毛mau 曼man 芒man 门men 明min 敏min 蒙mon 缪mu
纳na 娜na 内ne 妮ni 尼ni 诺no 努nu 恩n 奈nai 瑙nau 南nan 嫩nen 宁nin 农non 纽nu 涅ne 聂ne
"""

SYLLABLES = {entry[0]: entry[1:] for entry in reversed(_SYLLABLES.split())}
"""Character -> what it writes in Latin letters; a consonant alone where it also writes that one without a vowel."""
