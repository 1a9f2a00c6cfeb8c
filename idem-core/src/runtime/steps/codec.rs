//! A step's result as the store keeps it.
//!
//! ```text
//! version (1)  kind (1: result, 2: none)  fingerprint (32)  length (2) + name of the type  JSON
//! ```
//!
//! The fingerprint is that of the value's canonical form: what is read back must
//! have the same, or something of it was lost on the way into a changed type.

use serde::{Serialize, de::DeserializeOwned};

use super::error::StepsError;
use crate::{Fingerprint, FingerprintBuilder};

const VERSION: u8 = 1;
const RESULT: u8 = 1;
const NOT_RETAINED: u8 = 2;

/// `None`: it cannot be serialized, or what is read back is something else (JSON
/// has no NaN, and a field may be written and not read). Better said now than to
/// the attempt that needs it.
pub(crate) fn encode<T: Serialize + DeserializeOwned>(value: &T) -> Option<Vec<u8>> {
    let fingerprint = fingerprint(value)?;
    let name = type_name::<T>();
    let mut bytes = vec![VERSION, RESULT];
    bytes.extend_from_slice(fingerprint.as_bytes());
    bytes.extend_from_slice(&u16::try_from(name.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
    serde_json::to_writer(&mut bytes, value).ok()?;
    decode::<T>("", &bytes).ok()?;
    Some(bytes)
}

/// What is kept of a step that is finished and has no result to keep.
pub(super) fn not_retained() -> Vec<u8> {
    vec![VERSION, NOT_RETAINED]
}

/// The result of a finished step.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(
    step: &str,
    bytes: &[u8],
) -> Result<T, StepsError> {
    let unreadable = || StepsError::Unreadable {
        step: step.to_owned(),
    };
    let rest = match bytes {
        [VERSION, NOT_RETAINED] => {
            return Err(StepsError::NotRetained {
                step: step.to_owned(),
            });
        }
        [VERSION, RESULT, rest @ ..] => rest,
        _ => return Err(unreadable()),
    };
    let (kept, rest) = rest.split_first_chunk::<32>().ok_or_else(unreadable)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(unreadable)?;
    let (name, json) = rest
        .split_at_checked(usize::from(u16::from_be_bytes(*length)))
        .ok_or_else(unreadable)?;
    let wanted = type_name::<T>();
    if name != wanted.as_bytes() {
        return Err(StepsError::OtherType {
            step: step.to_owned(),
            found: String::from_utf8_lossy(name).into_owned(),
            wanted,
        });
    }
    let other_shape = |source| StepsError::OtherShape {
        step: step.to_owned(),
        wanted: wanted.clone(),
        source,
    };
    let value: T = serde_json::from_slice(json).map_err(|error| other_shape(Some(error)))?;
    match fingerprint(&value) {
        Some(read) if read.as_bytes() == kept => Ok(value),
        _ => Err(other_shape(None)),
    }
}

fn fingerprint<T: Serialize>(value: &T) -> Option<Fingerprint> {
    let mut fingerprint = FingerprintBuilder::new();
    fingerprint.typed(value).ok()?;
    Some(fingerprint.finish())
}

/// The type's name without the modules that it is in: moving it changes nothing.
fn type_name<T>() -> String {
    let mut short = String::new();
    let mut word = String::new();
    let mut characters = std::any::type_name::<T>().chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ':' if characters.peek() == Some(&':') => {
                characters.next();
                word.clear();
            }
            _ if character.is_alphanumeric() || character == '_' => word.push(character),
            _ => {
                short.push_str(&word);
                word.clear();
                short.push(character);
            }
        }
    }
    short.push_str(&word);
    short
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Charge {
        id: String,
        cents: u64,
        rate: f64,
    }

    fn charge() -> Charge {
        Charge {
            id: "ch_1".to_owned(),
            cents: 1250,
            rate: 0.1 + 0.2,
        }
    }

    #[test]
    fn what_was_kept_is_read_back() {
        let bytes = encode(&charge()).unwrap();
        assert_eq!(decode::<Charge>("charge", &bytes).unwrap(), charge());
        let map: HashMap<u32, Option<f64>> = HashMap::from([(1, Some(1e-300)), (2, None)]);
        assert_eq!(
            decode::<HashMap<u32, Option<f64>>>("map", &encode(&map).unwrap()).unwrap(),
            map
        );
        decode::<()>("unit", &encode(&()).unwrap()).unwrap();
    }

    #[test]
    fn floats_come_back_to_the_last_bit() {
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..10_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let float = f64::from_bits(bits);
            if float.is_finite() {
                let bytes = encode(&float).unwrap();
                assert_eq!(
                    decode::<f64>("f", &bytes).unwrap().to_bits(),
                    float.to_bits()
                );
            }
        }
    }

    #[test]
    fn another_type_is_named() {
        let bytes = encode(&charge()).unwrap();
        let error = decode::<Option<String>>("charge", &bytes).unwrap_err();
        assert!(
            matches!(&error, StepsError::OtherType { found, wanted, .. } if found == "Charge" && wanted == "Option<String>"),
            "{error}"
        );
        let widened = decode::<u64>("n", &encode(&7u32).unwrap());
        assert!(matches!(widened, Err(StepsError::OtherType { .. })));
    }

    /// The versions of a type that a deploy may meet.
    mod versions {
        use serde::{Deserialize, Serialize};

        pub(super) mod one {
            use super::{Deserialize, Serialize};
            #[derive(Serialize, Deserialize)]
            pub(crate) struct Hold {
                pub(crate) id: String,
                pub(crate) note: Option<String>,
            }
        }
        pub(super) mod renamed_field {
            use super::{Deserialize, Serialize};
            #[derive(Debug, Serialize, Deserialize)]
            pub(crate) struct Hold {
                #[serde(default)]
                pub(crate) name: String,
            }
        }
        pub(super) mod more_required {
            use super::{Deserialize, Serialize};
            #[derive(Debug, Serialize, Deserialize)]
            pub(crate) struct Hold {
                pub(crate) id: String,
                pub(crate) until: u64,
            }
        }
        pub(super) mod more_optional {
            use super::{Deserialize, Serialize};
            #[derive(Debug, Serialize, Deserialize)]
            pub(crate) struct Hold {
                pub(crate) id: String,
                pub(crate) until: Option<u64>,
            }
        }
    }

    #[test]
    fn a_changed_shape_is_an_error_and_no_wrong_value() {
        let kept = versions::one::Hold {
            id: "h_1".to_owned(),
            note: None,
        };
        let bytes = encode(&kept).unwrap();
        assert!(matches!(
            decode::<versions::renamed_field::Hold>("hold", &bytes),
            Err(StepsError::OtherShape { source: None, .. })
        ));
        assert!(matches!(
            decode::<versions::more_required::Hold>("hold", &bytes),
            Err(StepsError::OtherShape {
                source: Some(_),
                ..
            })
        ));
        let read = decode::<versions::more_optional::Hold>("hold", &bytes).unwrap();
        assert_eq!((read.id.as_str(), read.until), ("h_1", None));

        let with_note = versions::one::Hold {
            note: Some("gift".to_owned()),
            ..kept
        };
        let bytes = encode(&with_note).unwrap();
        // The note would be lost.
        assert!(decode::<versions::more_optional::Hold>("hold", &bytes).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_said_so() {
        let whole = encode(&charge()).unwrap();
        for end in 0..36 {
            assert!(matches!(
                decode::<Charge>("charge", &whole[..end]),
                Err(StepsError::Unreadable { .. })
            ));
        }
        assert!(matches!(
            decode::<Charge>("charge", &not_retained()),
            Err(StepsError::NotRetained { .. })
        ));
        assert!(encode(&f64::NAN).is_none());
        // No JSON has such a key.
        assert!(encode(&HashMap::from([((1, 2), 3)])).is_none());
    }
}
