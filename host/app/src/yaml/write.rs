//! From the graph of nodes to JSON text, with the position of every value.
//!
//! Aliases are expanded here, so this is where their growth is bounded.

use portcullis_core::json::{MAX_DEPTH, write_quoted};

use super::compose::{Member, Node, NodeValue};
use super::scalar::Scalar;
use super::{MAX_DOCUMENT_BYTES, MAX_DOCUMENT_VALUES, Position, Positions};

/// A collection that is being written.
enum Frame<'n> {
    Sequence(std::slice::Iter<'n, usize>),
    Mapping(std::slice::Iter<'n, Member>),
}

/// The JSON of a node; none where it is larger than a document may be.
pub(super) fn write(nodes: &[Node], root: usize) -> Option<(String, Positions)> {
    let mut json = String::new();
    let mut places = Vec::new();
    let mut frames = Vec::new();
    begin(nodes, root, nodes[root].position, &mut json, &mut places, &mut frames);
    while let Some(frame) = frames.last_mut() {
        let (next, close) = match frame {
            Frame::Sequence(items) => (items.next().map(|node| (None, *node)), ']'),
            Frame::Mapping(members) => (members.next().map(|member| (Some(member), member.node)), '}'),
        };
        let Some((member, node)) = next else {
            json.push(close);
            frames.pop();
            continue;
        };
        if !json.ends_with(['[', '{']) {
            json.push(',');
        }
        if let Some(member) = member {
            write_quoted(&mut json, &member.key);
            json.push(':');
        }
        let position = member.map_or(nodes[node].position, |member| member.position);
        begin(nodes, node, position, &mut json, &mut places, &mut frames);
        if json.len() > MAX_DOCUMENT_BYTES || places.len() > MAX_DOCUMENT_VALUES || frames.len() > MAX_DEPTH {
            return None;
        }
    }
    Some((json, Positions::written(places)))
}

fn begin<'n>(
    nodes: &'n [Node],
    node: usize,
    position: Position,
    json: &mut String,
    places: &mut Vec<(usize, Position)>,
    frames: &mut Vec<Frame<'n>>,
) {
    places.push((json.len(), position));
    match &nodes[node].value {
        NodeValue::Scalar(Scalar::Token(token)) => json.push_str(token),
        NodeValue::Scalar(Scalar::Text(text)) => write_quoted(json, text),
        // The composer refuses it before it becomes a node.
        NodeValue::Scalar(Scalar::NotFinite) => json.push_str("null"),
        NodeValue::Sequence(items) => {
            json.push('[');
            frames.push(Frame::Sequence(items.iter()));
        }
        NodeValue::Mapping(members) => {
            json.push('{');
            frames.push(Frame::Mapping(members.iter()));
        }
    }
}
