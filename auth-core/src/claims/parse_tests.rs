use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::REGISTERED;
use super::*;
use crate::clock::Timestamp;

const EXP: &str = r#""exp":1800000000"#;

/// The payload `{"exp":1800000000, MORE}`.
fn payload(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!("{{{EXP}{comma}{more}}}")
}

fn read<T: DeserializeOwned>(more: &str) -> Result<T, Cause> {
    parse(payload(more).as_bytes()).map(|(_, private)| private)
}

fn registered(more: &str) -> Result<RegisteredClaims, Cause> {
    parse::<()>(payload(more).as_bytes()).map(|(registered, ())| registered)
}

#[derive(Debug, PartialEq, Deserialize)]
struct User {
    name: String,
    #[serde(default)]
    admin: bool,
}

fn alice() -> User {
    User {
        name: "alice".to_owned(),
        admin: false,
    }
}

#[test]
fn every_registered_claim_is_read() {
    let all = r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1800000600,"nbf":1799999999.5,
        "iat":1800000000,"jti":"j","sid":"x","scope":"read  write","client_id":"c",
        "auth_time":1700000000,"acr":"2","amr":["pwd","otp"],"epo":7,"roles":["r"],"name":"alice"}"#;
    let (registered, user) = parse::<User>(all.as_bytes()).unwrap();
    assert_eq!(user, alice());
    assert_eq!(registered.issuer(), Some("i"));
    assert_eq!(registered.subject(), Some("s"));
    assert_eq!(registered.audience().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(registered.expires_at(), Timestamp::from_secs(1_800_000_600));
    assert_eq!(
        registered.not_before(),
        Some(Timestamp::from_millis(1_799_999_999_500))
    );
    assert_eq!(
        registered.issued_at(),
        Some(Timestamp::from_secs(1_800_000_000))
    );
    assert_eq!(registered.token_id(), Some("j"));
    assert_eq!(registered.session_id(), Some("x"));
    assert_eq!(registered.scope().as_str(), "read write");
    assert_eq!(registered.client_id(), Some("c"));
    assert_eq!(
        registered.auth_time(),
        Some(Timestamp::from_secs(1_700_000_000))
    );
    assert_eq!(registered.acr(), Some("2"));
    assert_eq!(registered.amr().collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(registered.epoch, 7);
    assert_eq!(registered.roles().collect::<Vec<_>>(), ["r"]);
}

#[test]
fn a40_an_absent_claim_is_told_from_a_present_one() {
    let none = registered("").unwrap();
    assert_eq!((none.issuer(), none.subject()), (None, None));
    assert_eq!((none.issued_at(), none.token_id()), (None, None));
    assert_eq!((none.client_id(), none.session_id()), (None, None));
    assert!(none.audience.is_none());
    let empty = registered(r#""iss":"","sub":"","aud":[],"jti":"","client_id":"""#).unwrap();
    assert_eq!((empty.issuer(), empty.subject()), (Some(""), Some("")));
    assert_eq!((empty.token_id(), empty.client_id()), (Some(""), Some("")));
    assert!(empty.audience.is_some());
    assert_eq!(empty.audience().count(), 0);
}

#[test]
fn a13_exp_is_required_and_a_number() {
    for bad in [
        r#"{}"#,
        r#"{"iat":1}"#,
        r#"{"exp":null}"#,
        r#"{"exp":"1800000000"}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":-0.5}"#,
        r#"{"exp":1e300}"#,
        r#"{"exp":253402300800}"#,
        r#"{"exp":18446744073709551615}"#,
        r#"{"exp":184467440737095516150}"#,
        r#"{"exp":true}"#,
        r#"{"exp":[1800000000]}"#,
        r#"{"exp":{"$serde_json::private::Number":"1800000000"}}"#,
    ] {
        assert_eq!(
            parse::<()>(bad.as_bytes()).unwrap_err(),
            Cause::Claims,
            "{bad}"
        );
    }
    for (good, millis) in [
        ("1800000000.5", 1_800_000_000_500),
        ("18e8", 1_800_000_000_000),
        ("253402300799", 253_402_300_799_000),
        ("0", 0),
    ] {
        let good = format!(r#"{{"exp":{good}}}"#);
        let (registered, ()) = parse(good.as_bytes()).unwrap();
        assert_eq!(registered.expires_at().as_millis(), millis, "{good}");
    }
}

#[test]
fn a14_nbf_and_a15_iat_of_the_wrong_type_are_no_absent_claims() {
    for name in ["nbf", "iat", "auth_time"] {
        for bad in ["null", r#""1""#, "-1", "[]", "{}", "false", "1e12"] {
            let more = format!(r#""{name}":{bad}"#);
            assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
        }
    }
}

#[test]
fn a17_a19_a20_text_claims_of_the_wrong_type_are_refused() {
    for name in ["iss", "sub", "jti", "sid", "client_id", "acr", "scope"] {
        for bad in ["null", "7", r#"["x"]"#, r#"{"x":"y"}"#, "true"] {
            if (name, bad) == ("scope", r#"["x"]"#) {
                // For the verifier to allow, issuer by issuer.
                continue;
            }
            let more = format!(r#""{name}":{bad}"#);
            assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
        }
    }
    for bad in [
        "null",
        "7",
        r#"["x",7]"#,
        r#"{"x":"y"}"#,
        "[null]",
        r#"[["x"]]"#,
    ] {
        for name in ["aud", "amr", "roles"] {
            let more = format!(r#""{name}":{bad}"#);
            assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
        }
    }
    for bad in ["null", "-1", "1.5", r#""1""#] {
        let more = format!(r#""epo":{bad}"#);
        assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
    }
}

#[test]
fn a21_a_registered_name_twice_is_refused() {
    for name in REGISTERED {
        let value = match *name {
            "exp" | "nbf" | "iat" | "auth_time" | "epo" => "1",
            "amr" | "roles" => "[]",
            _ => r#""x""#,
        };
        let escaped = format!(
            "\\u{:04x}{}",
            u32::from(name.chars().next().unwrap()),
            name.get(1..).unwrap()
        );
        for again in [*name, escaped.as_str()] {
            let twice = format!(r#"{{"exp_":0,"{name}":{value},"{again}":{value}}}"#);
            let refused = parse::<Value>(twice.as_bytes()).unwrap_err();
            assert_eq!(refused, Cause::Malformed, "{twice}");
        }
    }
}

#[test]
fn a21_a_private_name_twice_is_refused_whatever_t_looks_at() {
    let many = (0..40)
        .map(|i| format!(r#""k{i}":0"#))
        .collect::<Vec<_>>()
        .join(",");
    for twice in [
        r#""name":"alice","name":"bob""#.to_owned(),
        r#""name":"alice","n\u0061me":"bob""#.to_owned(),
        r#""n\u0061me":"alice","n\u0061me":"bob""#.to_owned(),
        r#""name":"alice","zz":0,"zz":0"#.to_owned(),
        format!(r#""name":"alice",{many},"k3":0"#),
        format!(r#""name":"alice",{many},"k39":0"#),
        format!(r#""name":"alice",{many},"\u006b39":0"#),
    ] {
        assert_eq!(read::<User>(&twice), Err(Cause::Malformed), "{twice}");
        assert_eq!(read::<Value>(&twice), Err(Cause::Malformed), "{twice}");
        assert_eq!(read::<()>(&twice), Err(Cause::Malformed), "{twice}");
    }
    assert_eq!(
        read::<User>(&format!(r#""name":"alice",{many}"#)),
        Ok(alice())
    );
}

#[test]
fn a21_an_error_that_t_swallows_still_refuses() {
    struct Careless;

    impl<'de> Deserialize<'de> for Careless {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Swallow;
            impl<'de> Visitor<'de> for Swallow {
                type Value = Careless;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("anything")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Careless, A::Error> {
                    while !matches!(map.next_key::<String>(), Ok(None)) {
                        let _ = map.next_value::<IgnoredAny>();
                    }
                    Ok(Careless)
                }
            }
            deserializer.deserialize_map(Swallow)
        }
    }

    assert!(read::<Careless>(r#""name":"alice""#).is_ok());
    for bad in [r#""sub":"a","sub":"b""#, r#""nbf":"x""#, r#""a":1,"a":2"#] {
        assert!(read::<Careless>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a21_an_error_that_a_field_swallows_shifts_no_names() {
    #[derive(Debug)]
    struct Lax;
    impl<'de> Deserialize<'de> for Lax {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let _ = HashMap::<String, u8>::deserialize(deserializer);
            Ok(Self)
        }
    }
    #[derive(Debug, Deserialize)]
    struct Careless {
        #[allow(dead_code)]
        own: Lax,
    }
    assert!(read::<Careless>(r#""own":"x","sub":"alice""#).is_ok());
    // The parser stops inside the object; what follows must not be taken for top-level names.
    for inside in [
        r#"{"a":"x","sub":"admin"}"#,
        r#"{"a":{"b":1},"sub":"admin"}"#,
        r#"{"a":300,"sub":"admin"}"#,
        r#"[1,"sub","admin"]"#,
    ] {
        for more in [
            format!(r#""own":{inside}"#),
            format!(r#""own":{inside},"jti":"j""#),
            format!(r#""sub":"alice","own":{inside}"#),
        ] {
            assert!(read::<Careless>(&more).is_err(), "{more}");
        }
    }
}

/// Payloads that no type may be able to read.
fn malformed() -> Vec<Vec<u8>> {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let mut all: Vec<Vec<u8>> = [
        payload(r#""x":"\ud800""#),
        payload(r#""x":{"y":["\udc00"]}"#),
        payload(r#""\ud800":0"#),
        payload(r#""x":1e400"#),
        payload(r#""x":[-1e400]"#),
        payload(&format!(r#""x":{}"#, "9".repeat(400))),
        payload(&format!(r#""x":{}"#, deep(200))),
        payload(&format!(r#""x":{}"#, deep(100_000))),
        payload(r#""x":01"#),
        payload(r#""x":1."#),
        payload(r#""x":+1"#),
        payload(r#""x":NaN"#),
        payload(r#""x":tru"#),
        payload(r#""x":'y'"#),
        payload(r#""x":"\x41""#),
        payload("\"x\":\"a\nb\""),
        payload("\"x\":\"a\0b\""),
        payload(r#""x":[1,]"#),
        payload(r#""x":{"y" 1}"#),
        payload(r#""x":1,"#),
        payload(r#"x:1"#),
        payload(r#"/* */"x":1"#),
        format!("\u{feff}{}", payload("")),
        format!("{} x", payload("")),
        format!("{}{}", payload(""), payload("")),
        format!("{}\0", payload("")),
        format!("[{}]", payload("")),
        payload("").trim_end_matches('}').to_owned(),
        "\"exp\"".to_owned(),
        "null".to_owned(),
        String::new(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    all.push(
        payload("")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
    );
    let mut invalid = payload(r#""x":"?""#).into_bytes();
    let at = invalid.iter().position(|&byte| byte == b'?').unwrap();
    for byte in [0xFF, 0xC0, 0x80] {
        invalid[at] = byte;
        all.push(invalid.clone());
    }
    all
}

#[test]
fn a23_malformed_payloads_are_refused_even_in_values_that_t_skips() {
    for bad in malformed() {
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(80)]).into_owned();
        assert_eq!(parse::<()>(&bad).unwrap_err(), Cause::Malformed, "{shown}");
        assert_eq!(
            parse::<Value>(&bad).unwrap_err(),
            Cause::Malformed,
            "{shown}"
        );
        let map = parse::<HashMap<String, IgnoredAny>>(&bad);
        assert_eq!(map.unwrap_err(), Cause::Malformed, "{shown}");
    }
}

#[test]
fn a23_a_payload_of_nothing_but_names_takes_no_quadratic_time() {
    // 200 000 names: one by one this would be 20 000 000 000 comparisons.
    let names = (0..200_000)
        .map(|i| format!(r#""k{i}":0"#))
        .collect::<Vec<_>>()
        .join(",");
    assert_eq!(read::<()>(&names), Ok(()));
}

#[test]
fn a36_a_claims_type_that_does_not_fit_is_its_own_cause() {
    assert_eq!(read::<User>(""), Err(Cause::ClaimsType));
    assert_eq!(read::<User>(r#""name":7"#), Err(Cause::ClaimsType));
    assert_eq!(read::<Vec<u8>>(""), Err(Cause::ClaimsType));
    assert_eq!(read::<String>(""), Err(Cause::ClaimsType));
    // Registered names are not for T, so they cannot fill its fields.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Thief {
        sub: String,
    }
    assert_eq!(read::<Thief>(r#""sub":"a""#), Err(Cause::ClaimsType));
}

#[test]
fn t_may_be_unit_struct_map_value_option_or_newtype() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Deserialize)]
    struct Newtype(User);
    let more = r#""sub":"s","name":"alice","x":[1,{"exp":2}]"#;
    let private = json!({"name": "alice", "x": [1, {"exp": 2}]});

    assert_eq!(read::<()>(more), Ok(()));
    assert_eq!(read::<Unit>(more), Ok(Unit));
    assert_eq!(read::<User>(more), Ok(alice()));
    assert_eq!(read::<Newtype>(more), Ok(Newtype(alice())));
    assert_eq!(read::<Option<User>>(more), Ok(Some(alice())));
    assert_eq!(
        read::<Option<Option<Newtype>>>(more),
        Ok(Some(Some(Newtype(alice()))))
    );
    assert_eq!(read::<Box<User>>(more), Ok(Box::new(alice())));
    assert_eq!(read::<Value>(more), Ok(private.clone()));
    let map = read::<HashMap<String, Value>>(more).unwrap();
    assert_eq!(Value::from_iter(map), private);
    assert!(read::<IgnoredAny>(more).is_ok());
}

#[test]
fn t_may_be_a_tagged_enum() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind")]
    enum Internal {
        User { name: String },
        Robot,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind", content = "of")]
    enum Adjacent {
        User(User),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number { number: u8 },
        User(User),
    }
    let name = "alice".to_owned();
    assert_eq!(
        read(r#""name":"alice","sub":"s","kind":"User""#),
        Ok(Internal::User { name })
    );
    assert_eq!(read(r#""kind":"Robot","x":1"#), Ok(Internal::Robot));
    assert_eq!(
        read::<Internal>(r#""kind":"Ghost""#),
        Err(Cause::ClaimsType)
    );
    assert_eq!(
        read(r#""of":{"name":"alice"},"kind":"User""#),
        Ok(Adjacent::User(alice()))
    );
    assert_eq!(read(r#""number":3"#), Ok(Untagged::Number { number: 3 }));
    assert_eq!(read(r#""name":"alice""#), Ok(Untagged::User(alice())));
}

#[test]
fn t_may_be_an_externally_tagged_enum() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum External {
        Unit,
        User(User),
        Pair(u8, u8),
        Named { name: String },
    }
    let named = External::Named {
        name: "alice".to_owned(),
    };
    assert_eq!(
        read(r#""sub":"s","unit":null,"jti":"j""#),
        Ok(External::Unit)
    );
    assert_eq!(
        read(r#""user":{"name":"alice"},"sub":"s""#),
        Ok(External::User(alice()))
    );
    assert_eq!(read(r#""pair":[1,2]"#), Ok(External::Pair(1, 2)));
    assert_eq!(read(r#""n\u0061med":{"name":"alice"}"#), Ok(named));
    for bad in [
        "",
        r#""unit":1"#,
        r#""ghost":1"#,
        r#""pair":[1,2],"unit":null"#,
    ] {
        assert_eq!(read::<External>(bad), Err(Cause::ClaimsType), "{bad}");
    }
    let twice = r#""unit":null,"unit":null"#;
    assert_eq!(read::<External>(twice), Err(Cause::Malformed));
}

#[test]
fn t_may_flatten_and_deny_unknown_fields() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        user: User,
        #[serde(flatten)]
        rest: HashMap<String, Value>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        name: String,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct StrictFlat {
        #[serde(flatten)]
        strict: Strict,
    }
    let flat = read::<Flat>(r#""name":"alice","sub":"s","x":"\u00e9""#).unwrap();
    assert_eq!(flat.user, alice());
    assert_eq!(flat.rest["x"], json!("é"));
    assert!(!flat.rest.contains_key("sub") && !flat.rest.contains_key("exp"));
    let strict = Strict {
        name: "alice".to_owned(),
    };
    assert_eq!(
        read(r#""name":"alice","sub":"s""#),
        Ok(StrictFlat { strict })
    );
    assert_eq!(
        read::<Strict>(r#""name":"alice","zz":0"#),
        Err(Cause::ClaimsType)
    );
    assert!(read::<StrictFlat>(r#""name":"alice","zz":0"#).is_err());
}

/// JSON values, biased towards what the parser treats specially.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
        "[\\\\\"\\x00-\\x1f\u{1F600}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{0,3}|\\PC{1,3}", inner, 0..4)
                .prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn a23_arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse::<Value>(&bytes);
        let _ = parse::<()>(&bytes);
    }

    #[test]
    fn a23_nearly_json_never_panics_and_is_read_no_more_laxly_than_as_a_value(
        text in r#"[{}\[\],:"\\u0-9deE.+\-expsubn ]{0,60}"#,
    ) {
        for text in [payload(&text), payload(&format!("\"x\":{text}")), text] {
            if parse::<()>(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn agrees_with_serde_json_on_valid_payloads(
        private in prop::collection::hash_map("[a-z]{1,4}|\\PC{1,3}", value(), 0..20),
        escape in any::<bool>(),
    ) {
        let mut expected = Value::from_iter(private);
        let object = expected.as_object_mut().unwrap();
        object.retain(|name, _| Registered::named(name).is_none());
        let mut whole = object.clone();
        whole.insert("exp".to_owned(), json!(1_800_000_000));
        let mut text = serde_json::to_string(&whole).unwrap();
        if escape {
            text = text
                .encode_utf16()
                .map(|unit| match u8::try_from(unit) {
                    Ok(ascii) if ascii.is_ascii() => char::from(ascii).to_string(),
                    _ => format!("\\u{unit:04x}"),
                })
                .collect();
        }
        let (registered, private) = parse::<Value>(text.as_bytes()).unwrap();
        // Numbers are compared as serde_json reads them back, not as they were made.
        let mut reread: Value = serde_json::from_str(&text).unwrap();
        reread.as_object_mut().unwrap().remove("exp");
        prop_assert_eq!(&private, &reread);
        prop_assert_eq!(registered.expires_at(), Timestamp::from_secs(1_800_000_000));
        prop_assert_eq!(parse::<()>(text.as_bytes()).map(|(registered, ())| registered), Ok(registered));
    }
}
