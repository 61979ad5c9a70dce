//! Loads and stores: tensors, tile buffers, variables.

use super::rows::Pieces;
use super::values::At;
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{
    AxisId, AxisKind, DimId, Elem, Index, Literal, Op, ParamId, ParamKind, ValueId, VarId,
};
use tilewright_compiler::schedule::BufferId;

/// Where elements of a tensor are.
struct Access {
    /// A `Place`, or `Places` if `per_lane`.
    place: TokenStream,
    per_lane: bool,
    /// Between lanes.
    stride: TokenStream,
}

impl Emitter<'_> {
    /// Element type and dimensions of a tensor.
    pub fn tensor(&self, tensor: ParamId) -> (Elem, Vec<DimId>) {
        match &self.kernel.params[tensor].kind {
            ParamKind::Tensor { elem, dims, .. } => (*elem, dims.clone()),
            ParamKind::Scalar { elem, .. } => (*elem, Vec::new()),
        }
    }

    /// The position of a tensor among the tensors.
    pub fn tensor_number(&self, tensor: ParamId) -> usize {
        let is_tensor = |kind: &ParamKind| matches!(kind, ParamKind::Tensor { .. });
        self.kernel.params.iter().take(tensor.at()).filter(|(_, param)| is_tensor(&param.kind)).count()
    }

    /// The place that an index names; indices that are in range by construction are not checked.
    fn access(&self, tensor: ParamId, index: &[Index], reported: bool, at: At<'_>) -> Access {
        let (private, view) = (&self.private, names::param(tensor));
        let number = self.tensor_number(tensor);
        let faults = names::plain("faults");
        let faults = if reported {
            quote!(::core::option::Option::Some(#faults))
        } else {
            quote!(::core::option::Option::None)
        };
        let mut place = quote!(#private::cpu::Place::new(#number, #faults));
        let mut lanes = TokenStream::new();
        let mut per_lane = false;
        let mut strides = Vec::new();
        let (_, dims) = self.tensor(tensor);
        for (d, index) in index.iter().enumerate() {
            let stride = quote!(#view.strides[#d]);
            let length = quote!(#view.dims[#d]);
            match index {
                Index::Axis { axis, offset } => {
                    let index = self.scalar_index(*axis);
                    let is_lane = matches!(at, At::Lanes(lane, _) if lane == *axis);
                    match offset {
                        None if is_lane => {
                            strides.push(stride.clone());
                            lanes.extend(quote!(.exact(#private::cpu::convert::<_, <i64 as #private::simd::Lane>::Of<__S>>(
                                <__S as #private::simd::Simd>::iota(#index)), #stride)));
                        }
                        None => {
                            let index = self.offset_index(*axis);
                            place.extend(quote!(.exact(#index, #stride)));
                        }
                        Some(offset) => {
                            let offset = self.plain(*offset, At::Scalar);
                            if is_lane {
                                per_lane = true;
                                lanes.extend(quote!(.checked(#private::simd::Vector::add(
                                    #private::cpu::convert::<_, <i64 as #private::simd::Lane>::Of<__S>>(
                                        <__S as #private::simd::Simd>::iota(#index)),
                                    #private::cpu::splat::<__S, i64>(#offset as i64)), #length, #stride, #d)));
                            } else {
                                place.extend(
                                    quote!(.checked((#index) as i64 + #offset as i64, #length, #stride, #d)),
                                );
                            }
                        }
                    }
                }
                Index::Scalar(value) | Index::Gather(value) => {
                    let plain = self.plain(*value, at);
                    if self.is_vector(*value, at) {
                        per_lane = true;
                        let from = self.ty(self.elem(*value), at);
                        lanes.extend(quote!(.checked(#private::cpu::convert::<#from, <i64 as #private::simd::Lane>::Of<__S>>(#plain), #length, #stride, #d)));
                    } else if self.is_in_range(*value, dims[d]) {
                        place.extend(quote!(.exact(#plain as isize, #stride)));
                    } else {
                        place.extend(quote!(.checked(#plain as i64, #length, #stride, #d)));
                    }
                }
            }
        }
        if per_lane {
            let n = self.n_lanes(at);
            return Access {
                place: quote!(#place.lanes::<__S>(#n) #lanes),
                per_lane,
                stride: TokenStream::new(),
            };
        }
        let At::Lanes(axis, info) = at else { return Access { place, per_lane, stride: quote!(1) } };
        let index = self.offset_index(axis);
        for stride in &strides {
            place.extend(quote!(.exact(#index, #stride)));
        }
        let unit = names::plain("unit");
        let stride = quote!((0 #(+ #strides)*));
        info.contiguous.borrow_mut().push(quote!(#stride == 1));
        Access { place, per_lane, stride: quote!((if #unit { 1 } else { #stride })) }
    }

    /// Whether a scalar index is an `each` over the same dimension, or a number below what that is asserted to be.
    fn is_in_range(&self, value: ValueId, dim: DimId) -> bool {
        let op = &self.kernel.values[value].op;
        if let Op::Literal(Literal::Int(number)) = op {
            return *number >= 0 && *number < self.kernel.least_length(dim);
        }
        let Op::Each(axis) = op else { return false };
        matches!(&self.kernel.axes[*axis].kind, AxisKind::Each { dim: of, .. } if *of == dim)
    }

    /// A value that is `tensor[index]`.
    pub fn load(&self, value: ValueId, at: At<'_>) -> TokenStream {
        let private = &self.private;
        let Op::Load { tensor, ref index, default } = self.kernel.values[value].op else {
            unreachable!("internal fault of tilewright: a load of no tensor")
        };
        let access = self.access(tensor, index, default.is_none(), at);
        let (elem, _) = self.tensor(tensor);
        let (element, set, n, view) =
            (self.element(elem), self.set(at), self.n_lanes(at), names::param(tensor));
        let otherwise = match default {
            Some(value) => self.operand(value, at),
            None => quote!(#private::cpu::zero::<#set, #element>()),
        };
        let Access { place, per_lane, stride } = access;
        if per_lane {
            return quote!(#place.load::<#element>(#view.ptr, #otherwise));
        }
        let is_repeat = matches!(at, At::Lanes(_, lanes) if lanes.repeats.contains(&value));
        let next_row =
            if is_repeat { Some(quote!(.ask_for_nothing())) } else { self.next_row(tensor, index, at) };
        quote!(#place #next_row.load::<#set, #element>(#view.ptr, #stride, #n, #otherwise))
    }

    /// Tells a place in a lane loop where its tensor's next row is.
    fn next_row(&self, tensor: ParamId, index: &[Index], at: At<'_>) -> Option<TokenStream> {
        let At::Lanes(axis, lanes) = at else { return None };
        let (early, last) = (lanes.early_reads.contains(&tensor), lanes.last_reads.contains(&tensor));
        let open = self.open.borrow();
        let row = open.get(open.len().checked_sub(2)?)?;
        let is_row = |index: &Index| matches!(index, Index::Axis { axis, offset: None } if axis == row);
        let is_other = |index: &Index| matches!(index, Index::Axis { axis, .. } if axis != row);
        if index.iter().all(is_other) || lanes.asked.contains(&tensor) {
            return Some(quote!(.ask_for_nothing()));
        }
        let d = index.iter().position(is_row)?;
        let view = names::param(tensor);
        let (extent, ahead) = (self.extent(axis), &lanes.rows_ahead);
        if lanes.far_reads.contains(&tensor) {
            let far = names::far(tensor);
            return Some(quote!(.ask_far(#far)));
        }
        if !(lanes.pieces.is_empty() || early || last) {
            let pieces = lanes.pieces.iter().find(|pieces| pieces.tensor == tensor);
            if let Some(Pieces { piece_dimension, .. }) = pieces
                && let Some(piece) = self.piece(&index[*piece_dimension])
            {
                let (next, position) = (names::next_row(tensor), names::position(axis));
                return Some(quote!(.ask_for_piece(&#next, #piece, #position)));
            }
            // The processor brings the rest on its own: to ask for that too is slower (rope 1.05 to 1.1 times).
            return Some(quote!(.ask_for_nothing()));
        }
        let ahead = if early || last {
            quote!(::core::option::Option::Some(#ahead))
        } else {
            quote!(::core::option::Option::None)
        };
        let slot = names::plain("slot");
        let some = (early && !lanes.is_heavy).then(|| quote!(.ask_at_times(#slot)));
        Some(quote!(.ask_for_row(#view.strides[#d], #extent, #ahead) #some))
    }

    /// `tensor[index] = value`.
    pub fn store(&self, tensor: ParamId, index: &[Index], value: ValueId, at: At<'_>) -> TokenStream {
        let Access { place, per_lane, stride } = self.access(tensor, index, true, at);
        let (elem, _) = self.tensor(tensor);
        let (element, set, n, view) =
            (self.element(elem), self.set(at), self.n_lanes(at), names::param(tensor));
        let value = self.operand(value, at);
        if per_lane {
            return quote!(#place.store::<#element>(#view.ptr, #value););
        }
        if let At::Lanes(axis, lanes) = at
            && self.streamed().contains(&tensor)
        {
            let stream = names::plain("stream");
            let stream = if lanes.is_heavy { quote!(#stream.heavy) } else { quote!(#stream.light) };
            // Other loops that compute little lose by that: layer norm of 4096 × 4096 0.93 times as fast.
            let position = names::position(axis);
            let position =
                if lanes.is_heavy || !lanes.pieces.is_empty() { quote!(#position) } else { quote!(0) };
            return quote!(#place.store_or_stream::<#set, #element>(#view.ptr, #stride, #n, #value, (#stream, #position)););
        }
        quote!(#place.store::<#set, #element>(#view.ptr, #stride, #n, #value);)
    }

    /// The tensors that are written and never read: they may go past the caches.
    pub fn streamed(&self) -> Vec<ParamId> {
        let kernel = self.kernel;
        let is_read = |id: ParamId| {
            kernel.values.iter().any(|(_, value)| matches!(value.op, Op::Load { tensor, .. } if tensor == id))
        };
        let written = kernel.params.iter().filter_map(|(id, param)| match param.kind {
            ParamKind::Tensor { writable: true, .. } if !is_read(id) => Some(id),
            ParamKind::Tensor { .. } | ParamKind::Scalar { .. } => None,
        });
        written.collect()
    }

    /// The distance between neighbours along an axis of a buffer, in elements.
    pub fn buffer_stride(&self, buffer: BufferId, axis: AxisId) -> TokenStream {
        let axes = &self.schedule.buffers[buffer.0].axes;
        let at = axes.iter().position(|a| *a == axis);
        if let (Some(at), Some(_)) = (at, self.output(buffer))
            && at + 1 < axes.len()
        {
            let strides = names::strides(buffer);
            return quote!(#strides[#at]);
        }
        let inner = at.map_or(&[][..], |at| &axes[at + 1..]);
        let rooms = inner.iter().map(|axis| names::room(*axis));
        quote!((1 #(* #rooms)*))
    }

    /// Where the current element of a buffer is, counting the positions of `axes`.
    pub fn buffer_offset(&self, buffer: BufferId, counted: &dyn Fn(AxisId) -> bool) -> TokenStream {
        let axes = self.schedule.buffers[buffer.0].axes.iter().filter(|axis| counted(**axis));
        let terms = axes.map(|axis| {
            let (position, stride) = (names::position(*axis), self.buffer_stride(buffer, *axis));
            quote!(+ #position * #stride)
        });
        quote!((0 #(#terms)*))
    }

    /// Whether lanes along `axis` are neighbours in a buffer.
    fn is_contiguous(&self, buffer: BufferId, axis: AxisId) -> bool {
        self.schedule.buffers[buffer.0].axes.last() == Some(&axis)
    }

    /// Reads the current element or lanes of a buffer.
    pub fn read_buffer(&self, buffer: BufferId, at: At<'_>) -> TokenStream {
        let name = names::buffer(buffer);
        self.read_tile(quote!(#name), buffer, self.schedule.buffers[buffer.0].elem, at)
    }

    pub fn read_tile(&self, name: TokenStream, buffer: BufferId, elem: Elem, at: At<'_>) -> TokenStream {
        let (private, set, n) = (&self.private, self.set(at), self.n_lanes(at));
        let (stored, offset) = (self.stored(elem), self.buffer_offset(buffer, &|_| true));
        match at {
            At::Lanes(axis, _) if !self.is_contiguous(buffer, axis) => {
                let stride = self.buffer_stride(buffer, axis);
                quote!(<#stored as #private::Element>::load_strided::<#set>(#name.add(#offset), #stride as isize, #n))
            }
            At::Lanes(..) | At::Scalar => {
                quote!(<#stored as #private::Element>::load::<#set>(#name.add(#offset), #n))
            }
        }
    }

    /// Writes the current element or lanes of a buffer.
    pub fn write_buffer(&self, buffer: BufferId, value: TokenStream, at: At<'_>) -> TokenStream {
        let name = names::buffer(buffer);
        self.write_tile(quote!(#name), buffer, self.schedule.buffers[buffer.0].elem, value, at)
    }

    pub fn write_tile(
        &self,
        name: TokenStream,
        buffer: BufferId,
        elem: Elem,
        value: TokenStream,
        at: At<'_>,
    ) -> TokenStream {
        let (private, set, n) = (&self.private, self.set(at), self.n_lanes(at));
        let (stored, offset) = (self.stored(elem), self.buffer_offset(buffer, &|_| true));
        match at {
            At::Lanes(axis, _) if !self.is_contiguous(buffer, axis) => {
                let stride = self.buffer_stride(buffer, axis);
                quote!(<#stored as #private::Element>::store_strided::<#set>(#name.add(#offset), #stride as isize, #value, #n);)
            }
            At::Lanes(..) | At::Scalar => {
                quote!(<#stored as #private::Element>::store::<#set>(#name.add(#offset), #value, #n);)
            }
        }
    }

    pub fn read_variable(&self, var: VarId, at: At<'_>) -> TokenStream {
        match self.schedule.variables[var.at()] {
            Some(buffer) => self.read_buffer(buffer, at),
            None => {
                let name = names::var(var);
                quote!(#name)
            }
        }
    }
}
