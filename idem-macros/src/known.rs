//! Well-known types, by the last segment of their path. The table serves better
//! messages and never decides whether a payload is fingerprinted.

use syn::{Type, TypePath};

/// What a type's name suggests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// An extractor that reads the body and has a fingerprint.
    Body,
    /// The body itself, unread.
    Whole,
    /// A connection that is handed over.
    Upgrade,
    /// Anything else.
    Other,
}

/// What an argument's type suggests.
pub(crate) fn argument(ty: &Type) -> Known {
    match last_segment(ty).as_deref() {
        Some("Json" | "Form" | "RawForm" | "Bytes" | "String") => Known::Body,
        Some("Request" | "Body" | "Multipart") => Known::Whole,
        Some("WebSocketUpgrade") => Known::Upgrade,
        _ => Known::Other,
    }
}

/// Whether an answer of this type is an endless stream.
pub(crate) fn is_streaming_answer(ty: &Type) -> bool {
    last_segment(ty).as_deref() == Some("Sse")
}

fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(TypePath { path, .. }) => path
            .segments
            .last()
            .map(|segment| segment.ident.to_string()),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_their_last_segment() {
        let known = |text| argument(&syn::parse_str(text).unwrap());
        assert_eq!(known("axum::Json<Payment>"), Known::Body);
        assert_eq!(known("String"), Known::Body);
        assert_eq!(known("Request"), Known::Whole);
        assert_eq!(known("Option<Json<u8>>"), Known::Other);
        assert_eq!(known("(Json<u8>,)"), Known::Other);
    }
}
