//! The real effects, as the service itself counts them.

use serde_json::Value;

use super::answer::{Reply, shortened};

/// How many effects a key had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effects {
    /// There is no `--effects-url`.
    Unasked,
    Counted(i64),
    /// It could be counted before, and now it cannot.
    Unreadable(String),
}

impl Effects {
    pub(crate) fn counted(&self) -> Option<i64> {
        match self {
            Self::Counted(count) => Some(*count),
            _ => None,
        }
    }

    /// All together, if every one of them was counted.
    pub(crate) fn total<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<i64> {
        all.into_iter().map(Self::counted).sum()
    }
}

/// Reads the number, or the length of the list, at `pointer`.
pub(crate) fn read(reply: &Reply, pointer: &str) -> Result<u64, String> {
    let answer = reply.as_ref().map_err(ToString::to_string)?;
    if !answer.status.is_success() {
        return Err(format!("it answers {answer}"));
    }
    let json: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("it answers no JSON ({error}): {}", shortened(&answer.body)))?;
    let found = json.pointer(pointer);
    let found = found.ok_or_else(|| {
        format!(
            "`{pointer}` points at nothing in {}",
            shortened(&answer.body)
        )
    })?;
    let count = match found {
        Value::Array(items) => u64::try_from(items.len()).ok(),
        other => other.as_u64(),
    };
    count.ok_or_else(|| {
        format!(
            "neither a list nor a whole number, but {}",
            shortened(found.to_string().as_bytes())
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::answer::synthetic::{answer, lost};
    use super::*;

    #[test]
    fn a_number_or_a_list_is_counted_where_the_pointer_says() {
        let ok = |body| Ok(answer(200, &[], body));
        assert_eq!(read(&ok("[1,2]"), ""), Ok(2));
        assert_eq!(read(&ok("7"), ""), Ok(7));
        assert_eq!(read(&ok(r#"{"data":{"total":3}}"#), "/data/total"), Ok(3));
    }

    #[test]
    fn what_cannot_be_counted_is_said() {
        let says = |reply: &Reply, pointer| read(reply, pointer).unwrap_err();
        let ok = |body| Ok(answer(200, &[], body));
        assert!(says(&ok("{}"), "").contains("neither"));
        assert!(says(&ok("{}"), "/a").contains("points at nothing"));
        assert!(says(&ok("<html>"), "").contains("no JSON"));
        assert!(says(&Ok(answer(403, &[], "no")), "").contains("403"));
        assert!(says(&lost(), "").contains("no answer"));
    }
}
