// attention
typedef Axis<2, Spread<TW_SPREAD_s>, TW_STEP_s, TW_EVEN_s> Axis_s;
typedef Axis<3, Spread<TW_SPREAD_D>, TW_STEP_D, TW_EVEN_D> Axis_D;
typedef Axis<4, Spread<TW_SPREAD_t>, TW_STEP_t, TW_EVEN_t> Axis_t;
typedef Axes<Axis_s> Axes_s;
typedef Axes<Axis_s, Axis_D> Axes_s_D;
typedef Axes<Axis_s, Axis_t> Axes_s_t;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int b_first, b_last, b_programs;
    int h_first, h_last, h_programs;
    int s_first, s_last, s_programs;
    Tensor<const TYPE_T, 4> arg_q;
    Tensor<const TYPE_T, 4> arg_k;
    Tensor<const TYPE_T, 4> arg_v;
    Tensor<TYPE_T, 4> arg_out;
    int dim_B;
    int dim_H;
    int dim_G;
    int dim_S;
    int dim_L;
    int dim_D;
    f32 arg_scale;
#if TW_MAPS
    TensorMap maps[TW_MAPS];
#endif
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS, 1)
attention(const __grid_constant__ Arguments args) {
    // for (b, h, s) in (each(B), each(H), tile(S))
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_s s;
    s.at(args.s_first + int(program % unsigned(args.s_programs)) * Axis_s::step, args.s_last);
    program /= unsigned(args.s_programs);
    const int h = args.h_first + int(program % unsigned(args.h_programs));
    program /= unsigned(args.h_programs);
    const int b = args.b_first + int(program % unsigned(args.b_programs));
    program /= unsigned(args.b_programs);
    Axis_D D;
    D.at(0, args.dim_D);
    Axis_t t;
    (void)program;
    Ring<Axis_t, TW_BULK_0> t_ring(shared + TW_AT_2);
    #if TW_PRODUCERS
    if (threadIdx.x >= TW_THREADS) {
        few_registers();
        [[maybe_unused]] const i32 v17 = quotient(args.dim_H, args.dim_G);
        [[maybe_unused]] const i32 g = quotient(h, v17);
        [[maybe_unused]] const i32 v29 = sub(args.dim_L, args.dim_S);
        [[maybe_unused]] const i32 v30 = add(s.end, v29);
        [[maybe_unused]] const i32 end = (CONST_CAUSAL ? v30 : args.dim_L);
        const Shared<TYPE_T, Axes<Axis_t, Axis_D>> block_of_k = {reinterpret_cast<TYPE_T*>(shared + TW_AT_0)};
        const Shared<TYPE_T, Axes<Axis_t, Axis_D>> block_of_v = {reinterpret_cast<TYPE_T*>(shared + TW_AT_1)};
        const int t_first = 0, t_last = min_of(end, args.dim_L);
        const auto t_fetch = [&](auto crew, int t_at, int slot, u64* landed) {
            Axis_t t;
            t.at(t_at, t_last);
            stage<TW_VECTOR_0>(crew, landed, inside(i64(g), args.dim_G, args.fault, args.launch, 1, 1), t.is_full(), block_of_k.slot(slot), TW_MAP_0, at(D.begin, t.begin, g, b), args.arg_k.data + args.arg_k.stride[0] * i64(b) + args.arg_k.stride[1] * i64(g), along(args.arg_k.stride[3], D), along(args.arg_k.stride[2], t));
            stage<TW_VECTOR_1>(crew, landed, inside(i64(g), args.dim_G, args.fault, args.launch, 2, 1), t.is_full(), block_of_v.slot(slot), TW_MAP_1, at(D.begin, t.begin, g, b), args.arg_v.data + args.arg_v.stride[0] * i64(b) + args.arg_v.stride[1] * i64(g), along(args.arg_v.stride[3], D), along(args.arg_v.stride[2], t));
        };
        t_ring.produce(t_fetch, t_first, t_last);
        return;
    }
    many_registers();
    #endif
    Tile<f32, Axes_s> peak;
    Tile<f32, Axes_s> total;
    Tile<f32, Axes_s_D> acc;
    Tile<f32, Axes_s_t> score;
    const i32 v17 = quotient(args.dim_H, args.dim_G);
    // let g = h / (H / G);
    const i32 g = quotient(h, v17);
    each(Axes_s, i) {
        const f32 v21 = from_bits(0xff800000u);
        // let mut peak = full::<f32> (s, f32::NEG_INFINITY);
        peak[i] = v21;
        const f32 v23 = 0e0f;
        // let mut total = zeros::<f32> (s);
        total[i] = v23;
    }
    const i32 v29 = sub(args.dim_L, args.dim_S);
    const i32 v30 = add(s.end, v29);
    // let end = if CAUSAL { s.end() + (L - S) } else { L };
    const i32 end = (CONST_CAUSAL ? v30 : args.dim_L);
    each(Axes_s_D, i) {
        const f32 v25 = 0e0f;
        // let mut acc = zeros::<f32> ((s, D));
        acc[i] = v25;
    }
    // for t in tile(L, 0..end)
    const int t_first = 0, t_last = min_of(end, args.dim_L);
    const Shared<TYPE_T, Axes<Axis_t, Axis_D>> block_of_k = {reinterpret_cast<TYPE_T*>(shared + TW_AT_0)};
    const Shared<TYPE_T, Axes<Axis_t, Axis_D>> block_of_v = {reinterpret_cast<TYPE_T*>(shared + TW_AT_1)};
    const auto t_fetch = [&](auto crew, int t_at, int slot, u64* landed) {
        Axis_t t;
        t.at(t_at, t_last);
        stage<TW_VECTOR_0>(crew, landed, inside(i64(g), args.dim_G, args.fault, args.launch, 1, 1), t.is_full(), block_of_k.slot(slot), TW_MAP_0, at(D.begin, t.begin, g, b), args.arg_k.data + args.arg_k.stride[0] * i64(b) + args.arg_k.stride[1] * i64(g), along(args.arg_k.stride[3], D), along(args.arg_k.stride[2], t));
        stage<TW_VECTOR_1>(crew, landed, inside(i64(g), args.dim_G, args.fault, args.launch, 2, 1), t.is_full(), block_of_v.slot(slot), TW_MAP_1, at(D.begin, t.begin, g, b), args.arg_v.data + args.arg_v.stride[0] * i64(b) + args.arg_v.stride[1] * i64(g), along(args.arg_v.stride[3], D), along(args.arg_v.stride[2], t));
    };
    const Shared<TYPE_T, Axes<Axis_s, Axis_D>> block_of_q = {reinterpret_cast<TYPE_T*>(shared + TW_AT_3)};
    copy_block<TW_VECTOR_2>(Everyone(), true, block_of_q, args.arg_q.data + args.arg_q.stride[0] * i64(b) + args.arg_q.stride[1] * i64(h), along(args.arg_q.stride[3], D), along(args.arg_q.stride[2], s));
    commit_copies();
    wait_copies<0>();
    fence_async();
    sync_program();
    t_ring.start(t_fetch, t_first, t_last);
    for (int t_at = t_first; t_at < t_last; t_at += Axis_t::step, t_ring.advance()) {
        t.at(t_at, t_last);
        t_ring.turn(t_fetch);
        Tile<f32, Axes_s_t> v39;
        each(Axes_s_t, i) v39[i] = 0;
        dot<Axis_s, Axis_t, Axis_D>(v39, block_of_q, block_of_k.slot(t_ring.slot));
        each(Axes_s_t, i) {
            const f32 v40 = (v39[i] * args.arg_scale);
            // let mut score = dot(q[(b, h, s, ..)], k[(b, g, t, ..)], D) * scale;
            score[i] = v40;
        }
        if (CONST_CAUSAL) {
            const i32 v44 = sub(args.dim_L, args.dim_S);
            Tile<i32, Axes_s> v45;
            each(Axes_s, i) v45[i] = add(s.index(Axes_s::of<Axis_s>(i)), v44);
            each(Axes_s_t, i) {
                const bool v47 = (v45.of<Axes_s_t>(i) >= t.index(Axes_s_t::of<Axis_t>(i)));
                const f32 v48 = score[i];
                const f32 v50 = (v47 ? v48 : from_bits(0xff800000u));
                // score = select(s.index() + (L - S) >= t.index(), score, f32::NEG_INFINITY);
                score[i] = v50;
            }
        }
        Tile<f32, Axes_s> v51;
        each(Axes_s, i) v51[i] = peak[i];
        Tile<f32, Axes_s_t> v52;
        each(Axes_s_t, i) v52[i] = score[i];
        Tile<f32, Axes_s> v53;
        reduce<false>(v53, v52, t, Limits<f32>::lowest(), shared + TW_AT_4,
                      [](f32 a, f32 b) { return max_of(a, b); });
        Tile<f32, Axes_s> next;
        each(Axes_s, i) {
            // let next = max(peak, score.max(t));
            next[i] = max_of(v51[i], v53[i]);
        }
        Tile<f32, Axes_s_t> p;
        each(Axes_s_t, i) {
            const f32 v55 = score[i];
            // let p = exp_sub(score, next);
            p[i] = exp_sub(v55, next.of<Axes_s_t>(i));
        }
        Tile<f32, Axes_s> fade;
        Tile<f32, Axes_s> v60;
        each(Axes_s, i) {
            const f32 v57 = peak[i];
            // let fade = exp_sub(peak, next);
            fade[i] = exp_sub(v57, next[i]);
            const f32 v59 = total[i];
            v60[i] = (v59 * fade[i]);
        }
        Tile<f32, Axes_s> v61;
        reduce<false>(v61, p, t, cast<f32>(0.0f), shared + TW_AT_4,
                      [](f32 a, f32 b) { return add(a, b); });
        each(Axes_s, i) {
            const f32 v62 = (v60[i] + v61[i]);
            // total = total * fade + p.sum(t);
            total[i] = v62;
        }
        Tile<f32, Axes_s_D> v64;
        each(Axes_s_D, i) {
            const f32 v63 = acc[i];
            v64[i] = (v63 * fade.of<Axes_s_D>(i));
        }
        Tile<TYPE_T, Axes_s_t> v65;
        each(Axes_s_t, i) v65[i] = cast<TYPE_T>(p[i]);
        Tile<f32, Axes_s_D> v69 = v64;
        const auto v68_a = hold<Axis_s, Axis_D, f32, TYPE_T>(Shared<TYPE_T, Axes<Axis_s, Axis_t>>{reinterpret_cast<TYPE_T*>(shared + TW_AT_5)}, v65, t, s);
        dot<Axis_s, Axis_D, Axis_t>(v69, v68_a, block_of_v.slot(t_ring.slot));
        each(Axes_s_D, i) {
            // acc = acc * fade + dot(p.cast::<T> (), v[(b, g, t, ..)], t);
            acc[i] = v69[i];
        }
        each(Axes_s, i) {
            // peak = next;
            peak[i] = next[i];
        }
    }
    t_ring.finish();
    Tile<f32, Axes_s_D> v70;
    each(Axes_s_D, i) v70[i] = acc[i];
    Tile<f32, Axes_s> v71;
    each(Axes_s, i) v71[i] = total[i];
    Tile<TYPE_T, Axes_s_D> v75;
    each(Axes_s_D, i) {
        const f32 v72 = (v70[i] / v71.of<Axes_s_D>(i));
        v75[i] = cast<TYPE_T>(v72);
    }
    sync_program();
    // out[(b, h, s, ..)] = (acc / total).cast();
    store<TW_VECTOR_3>(true, v75, args.arg_out.data + args.arg_out.stride[0] * i64(b) + args.arg_out.stride[1] * i64(h), along(args.arg_out.stride[2], s), along(args.arg_out.stride[3], D));
}
