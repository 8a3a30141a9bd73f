//! JSON texts beyond what any sensible producer would send.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Numbers that may or may not be representable as a double.
pub(crate) fn numbers() -> impl Strategy<Value = String> {
    let any_digits = "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?";
    let double = any::<f64>().prop_filter("finite", |double| double.is_finite());
    prop_oneof![
        3 => any_digits,
        2 => exact(),
        1 => double.prop_map(|double| format!("{double}")),
        1 => (9_007_199_254_740_900_u64..9_007_199_254_741_100).prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        // Exactly between two shortest forms, where the even one counts.
        2 => (1_u64 << 48..1_u64 << 53, 0_u8..8, 1_usize..4).prop_map(|(whole, eighths, digits)| {
            format!(
                "{whole}.{:0<width$}",
                (u32::from(eighths) * 125 / 10_u32.pow(3 - digits as u32)),
                width = digits + 1
            )
        }),
        1 => (1_u64 << 53..1_u64 << 60, 0_usize..4).prop_map(|(whole, digits)| {
            let text = whole.to_string();
            format!("{}{}.0", &text[..text.len() - digits], "0".repeat(digits))
        }),
        1 => (1_u64..1000, 10_i32..30).prop_map(|(digits, zeros)| format!("{digits}e{zeros}")),
        1 => (1_u64..1000, -12_i32..4).prop_map(|(digits, zeros)| format!("{digits}E{zeros}")),
    ]
}

/// Decimal values of doubles' shortest forms, in various spellings.
fn exact() -> impl Strategy<Value = String> {
    // Without those where a double can lie exactly between two shortest forms: there Rust and JavaScript differ.
    let plain = |double: &f64| double.is_finite() && !(1e13..1e22).contains(&double.abs());
    let double = any::<f64>().prop_filter("finite and not halfway", plain);
    prop_oneof![
        double.clone().prop_map(|double| format!("{double:e}")),
        double.prop_map(|double| {
            let text = format!("{double:E}");
            if text.contains('.') { text.replace('E', "00E+").replace("E+-", "E-") } else { text }
        }),
        (any::<i32>(), 0_u32..4).prop_map(|(whole, zeros)| format!("{whole}.{}", "0".repeat(zeros as usize + 1))),
        (any::<i32>(), 0_i32..10).prop_map(|(whole, exponent)| format!("{whole}e+0{exponent}")),
        Just("-0".to_owned()),
        Just("-0.0e5".to_owned()),
    ]
}

/// A string: its value and a spelling of it.
fn strings() -> impl Strategy<Value = (String, String)> {
    let odd = select(vec![
        '"',
        '\\',
        '/',
        '\u{0}',
        '\u{8}',
        '\t',
        '\n',
        '\u{b}',
        '\u{c}',
        '\r',
        '\u{1f}',
        '\u{7f}',
        '\u{85}',
        '\u{2028}',
        '\u{2029}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{fffd}',
        '\u{ffff}',
        '\u{10000}',
        '\u{10ffff}',
        'é',
        '😀',
    ]);
    let character = prop_oneof![3 => prop::char::range(' ', '~'), 2 => odd, 1 => any::<char>()];
    vec((character, 0_u8..4), 0..24).prop_map(|characters| {
        let (mut value, mut spelling) = (String::new(), "\"".to_owned());
        for (character, style) in characters {
            value.push(character);
            spell(&mut spelling, character, style);
        }
        spelling.push('"');
        (value, spelling)
    })
}

fn spell(out: &mut String, character: char, style: u8) {
    let short = match character {
        '"' | '\\' | '/' => Some(character),
        '\u{8}' => Some('b'),
        '\t' => Some('t'),
        '\n' => Some('n'),
        '\u{c}' => Some('f'),
        '\r' => Some('r'),
        _ => None,
    };
    let must = character < ' ' || character == '"' || character == '\\';
    match (style, short) {
        (0 | 1, _) if !must => out.push(character),
        (0..=2, Some(short)) => out.extend(['\\', short]),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let unit = if style == 3 { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                out.push_str(&unit);
            }
        }
    }
}

fn keys() -> impl Strategy<Value = (String, String)> {
    let index = prop_oneof![
        (0_u64..12).prop_map(|index| index.to_string()),
        select(vec![
            "4294967293",
            "4294967294",
            "4294967295",
            "4294967296",
            "01",
            "-1",
            "1.5",
            "99999999999",
            "__proto__"
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![2 => strings(), 2 => index.prop_map(|key| (key.clone(), format!("\"{key}\"")))]
}

fn blanks() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", "", " ", "\n", "\t", "\r\n", "   \n  "])
}

/// Texts whose numbers are all representable as doubles: JavaScript is authoritative for them.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false", "{}", "[ ]", "\"\""]).prop_map(str::to_owned),
        exact(),
        strings().prop_map(|(_, spelling)| spelling),
    ];
    let value = leaf.prop_recursive(6, 64, 24, |inner| {
        prop_oneof![
            vec((inner.clone(), blanks()), 0..8).prop_map(|elements| {
                let elements: Vec<String> =
                    elements.into_iter().map(|(value, blank)| format!("{blank}{value}{blank}")).collect();
                format!("[{}]", elements.join(","))
            }),
            vec((keys(), inner, blanks(), blanks()), 0..24).prop_map(|members| {
                let mut seen = std::collections::HashSet::new();
                let mut out = Vec::new();
                for ((key, spelling), value, before, after) in members {
                    if seen.insert(key) {
                        out.push(format!("{before}{spelling}{after}:{before}{value}{after}"));
                    }
                }
                format!("{{{}}}", out.join(","))
            }),
        ]
    });
    (blanks(), value, blanks()).prop_map(|(before, value, after)| format!("{before}{value}{after}"))
}
